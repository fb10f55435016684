/*
 * What a pod gives to be run by whoever enters it: says in /out/proof what it could do.
 *
 * It needs no library, so it can be a program, a library (-DLIBRARY) and the dynamic loader.
 */
#include <asm/unistd.h>

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static const char *const paths[] = {
	"/srv/marker", "srv/marker", "../srv/marker", "/../srv/marker", "/proc/1/root/srv/marker",
	"/proc/self/cwd/srv/marker", "../../../../srv/marker",
};

static void try(void)
{
	unsigned int head[2] = { 0x20080522, 0 }, data[6] = { 0 };
	char text[64];
	long proof = call(__NR_open, (long)"/out/proof", 02101, 0666); /* create, append, write */
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		long file = call(__NR_open, (long)paths[i], 0, 0);
		long size = file < 0 ? 0 : call(__NR_read, file, (long)text, sizeof(text));

		if (size > 0)
			call(__NR_write, proof, (long)text, size);
	}
	/* CAP_SYS_ADMIN, which nobody has who has come into a pod for good */
	if (!call(__NR_capget, (long)head, (long)data, 0) && data[0] & 1 << 21)
		call(__NR_write, proof, (long)"got out\n", 8);
	call(__NR_close, proof, 0, 0);
}

#ifdef LIBRARY
__attribute__((constructor)) static void loaded(void)
{
	try();
}
#else
__attribute__((force_align_arg_pointer)) void _start(void)
{
	try();
	call(__NR_exit, 0, 0, 0);
}
#endif
