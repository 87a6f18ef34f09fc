all: one
	./one
%.o: %.c
	gcc -c -o $@ $<
libtwo.a: two.o three.o
	ar rcs $@ $^
one: one.o libtwo.a
	gcc -o $@ $^
one.c:
	printf '#include <stdio.h>\nint two(void);\nint three(void);\n' > $@
	printf 'int main(void) { return !printf("%%d\\n", two() * three()); }\n' >> $@
two.c:
	echo 'int two(void) { return 2; }' > $@
three.c:
	echo 'int three(void) { return 3; }' > $@
