//! Bounds-checked encoding of plain data: little-endian integers, byte strings and C strings.
//!
//! `wire_data!` describes a type once and generates the type, its encoder and its decoder. The
//! library and the warden therefore cannot disagree about a layout.

use core::ffi::CStr;

/// The destination of encoded bytes.
///
/// The library appends to a `Vec`, the warden to a buffer of fixed size.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// The bytes are too short, too long, or not a valid value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A cursor over received bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts reading at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Returns whether every byte has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads one value.
    pub fn get<T: Wire<'a>>(&mut self) -> Result<T, Malformed> {
        T::decode(self)
    }

    /// Reads one value that must use up all remaining bytes.
    pub fn only<T: Wire<'a>>(mut self) -> Result<T, Malformed> {
        let value = self.get()?;
        if self.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

/// A type with exactly one encoding.
pub trait Wire<'a>: Sized {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut impl Sink);
    /// Reads one value.
    fn decode(from: &mut Reader<'a>) -> Result<Self, Malformed>;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Wire<'_> for $int {
            fn encode(&self, out: &mut impl Sink) {
                out.put(&self.to_le_bytes());
            }
            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                let bytes = from.take(size_of::<$int>())?;
                Ok(<$int>::from_le_bytes(bytes.try_into().map_err(|_| Malformed)?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i32, i64);

impl Wire<'_> for bool {
    fn encode(&self, out: &mut impl Sink) {
        u8::from(*self).encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match from.get::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    fn encode(&self, out: &mut impl Sink) {
        (self.len() as u32).encode(out);
        out.put(self);
    }
    fn decode(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        let length = from.get::<u32>()?;
        from.take(length as usize)
    }
}

/// A C string is encoded with its NUL, so that the warden can pass it to the kernel without a copy.
impl<'a> Wire<'a> for &'a CStr {
    fn encode(&self, out: &mut impl Sink) {
        self.to_bytes_with_nul().encode(out);
    }
    fn decode(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        CStr::from_bytes_with_nul(from.get()?).map_err(|_| Malformed)
    }
}

/// A sequence of values: their count, then each value in turn.
///
/// Decoding checks every item, so iterating afterwards cannot fail.
#[derive(Clone, Copy)]
pub struct List<'a, T> {
    count: u32,
    items: &'a [u8],
    of: core::marker::PhantomData<T>,
}

impl<'a, T: Wire<'a>> List<'a, T> {
    /// The number of items.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Returns whether the list has no items.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Iterates over the items in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut reader = Reader::new(self.items);
        core::iter::from_fn(move || if reader.is_empty() { None } else { reader.get().ok() })
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for List<'a, T> {
    fn encode(&self, out: &mut impl Sink) {
        self.count.encode(out);
        self.items.encode(out);
    }
    fn decode(from: &mut Reader<'a>) -> Result<Self, Malformed> {
        let count = from.get::<u32>()?;
        let items = from.get::<&[u8]>()?;
        let mut reader = Reader::new(items);
        for _ in 0..count {
            reader.get::<T>()?;
        }
        if !reader.is_empty() {
            return Err(Malformed);
        }
        Ok(List { count, items, of: core::marker::PhantomData })
    }
}

impl<'a, T: Wire<'a> + core::fmt::Debug> core::fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Collects encoded items for a [`List`]: push each item, then call [`ListBuilder::list`].
pub struct ListBuilder<S> {
    count: u32,
    items: S,
}

impl<S: Sink> ListBuilder<S> {
    /// Collects into `items`, which must be empty.
    pub fn new(items: S) -> Self {
        ListBuilder { count: 0, items }
    }

    /// Appends one item.
    pub fn push<'a, T: Wire<'a>>(&mut self, item: &T) {
        item.encode(&mut self.items);
        self.count += 1;
    }
}

impl<S: AsRef<[u8]>> ListBuilder<S> {
    /// Returns the finished list.
    ///
    /// `T` must be the type that was pushed. With another type, the list reads as empty or short.
    pub fn list<'a, T>(&'a self) -> List<'a, T> {
        List { count: self.count, items: self.items.as_ref(), of: core::marker::PhantomData }
    }
}

/// Defines a struct or an enum together with its encoder and decoder.
///
/// A struct is encoded as its fields in order. An enum is encoded as a tag byte and the fields of
/// the variant. The lifetime is that of the buffer.
#[doc(hidden)]
macro_rules! wire_data {
    ($(#[$meta:meta])* struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $ty:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }
        impl $crate::wire::codec::Wire<'_> for $name {
            fn encode(&self, out: &mut impl $crate::wire::codec::Sink) {
                $(self.$field.encode(out);)*
            }
            fn decode(
                from: &mut $crate::wire::codec::Reader<'_>,
            ) -> Result<Self, $crate::wire::codec::Malformed> {
                Ok($name { $($field: from.get()?,)* })
            }
        }
    };
    ($(#[$meta:meta])* enum $name:ident<$buffer:lifetime> {
        $($(#[$variant_meta:meta])* $tag:literal $variant:ident {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty,)*
        })*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        #[allow(
            clippy::large_enum_variant,
            reason = "one exists at a time, and the warden has no allocator to box it with"
        )]
        pub enum $name<$buffer> {
            $($(#[$variant_meta])* $variant { $($(#[$field_meta])* $field: $ty,)* },)*
        }
        impl<$buffer> $crate::wire::codec::Wire<$buffer> for $name<$buffer> {
            fn encode(&self, out: &mut impl $crate::wire::codec::Sink) {
                match self {
                    $($name::$variant { $($field,)* } => {
                        let tag: u8 = $tag;
                        tag.encode(out);
                        $($field.encode(out);)*
                    })*
                }
            }
            fn decode(
                from: &mut $crate::wire::codec::Reader<$buffer>,
            ) -> Result<Self, $crate::wire::codec::Malformed> {
                match from.get::<u8>()? {
                    $($tag => Ok($name::$variant { $($field: from.get()?,)* }),)*
                    _ => Err($crate::wire::codec::Malformed),
                }
            }
        }
    };
}
pub(crate) use wire_data;
