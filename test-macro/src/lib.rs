//! The attribute `#[seclude_test::test]`: a test in a sandbox of its own.
//!
//! ```ignore
//! #[seclude_test::test]
//! fn a_server_binds_its_port() {
//!     std::net::TcpListener::bind("127.0.0.1:80").unwrap();
//! }
//! ```
//!
//! The test program runs again for this test, in the sandbox of `seclude::Sandbox::for_tests`: with
//! the host's files, and a private network, process tree, `/tmp`, `/run` and `/dev/shm`. It works
//! with `cargo test` and with nextest, at any number of threads. The crate `seclude` must be a
//! dependency, too.
//!
//! Where the host does not allow sandboxes, the test is left out with a message. It fails if the
//! variable SECLUDE_TEST is `require`.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, ReturnType, parse_macro_input};

/// Makes a function a test that runs in a sandbox of its own. Combines with `#[ignore]`, but
/// not with `#[should_panic]`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    if !options.is_empty() {
        let error = Error::new_spanned(&function.sig, "seclude_test::test takes no options");
        return error.to_compile_error().into();
    }
    expand(function).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(ItemFn { attrs, vis, sig, block }: ItemFn) -> syn::Result<proc_macro2::TokenStream> {
    if sig.asyncness.is_some() || !sig.inputs.is_empty() || !sig.generics.params.is_empty() {
        return Err(Error::new_spanned(sig, "a test has no arguments and is not async"));
    }
    // Inside, the harness would take the panic for success, and the process outside would see none.
    if let Some(attribute) =
        attrs.iter().find(|attribute| attribute.path().is_ident("should_panic"))
    {
        let hint = "catch the panic in the test instead: std::panic::catch_unwind";
        return Err(Error::new_spanned(attribute, format!("should_panic is not possible; {hint}")));
    }
    let name = &sig.ident;
    let output = &sig.output;
    // A test that returns a Result fails by an error, and the harness shows it with `{:?}`.
    let finish = match output {
        ReturnType::Default => quote!(body()),
        ReturnType::Type(..) => quote!(if let Err(error) = body() {
            panic!("{error:?}");
        }),
    };
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #name() {
            fn body() #output #block
            ::seclude::testing::isolated(
                concat!(module_path!(), "::", stringify!(#name)),
                || #finish,
            );
        }
    })
}
