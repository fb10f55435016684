/* Starts processes until that is refused, or until there are twice as many as a pod may have. */
#include <asm/unistd.h>

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
	int count;

	call(__NR_write, 1, (long)"trying\n", 7);
	for (count = 0; count < 1024; count++) {
		long child = call(__NR_fork, 0, 0, 0);

		while (!child)
			call(__NR_pause, 0, 0, 0);
		if (child < 0) {
			call(__NR_write, 1, (long)"refused\n", 8);
			break;
		}
	}
	if (count == 1024) {
		call(__NR_write, 1, (long)"got out\n", 8);
		call(__NR_exit, 0, 0, 0);
	}
	for (;;)
		call(__NR_pause, 0, 0, 0);
}
