/*
 * Holds the namespaces of a pod, and is process 1 where its containers share one for processes: it waits for whatever ends
 * there without a parent. It ends when it is told to.
 *
 * There is no C library, since this is in memory once for each pod, and four calls of the kernel are all there is to it.
 */

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static long kernel(long number, long first, long second, long third, long fourth)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = fourth;
	__asm__ volatile("syscall"
			 : "+a"(number)
			 : "D"(first), "S"(second), "d"(third), "r"(r10)
			 : "rcx", "r11", "memory");
	return number;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = first;
	register long x1 __asm__("x1") = second;
	register long x2 __asm__("x2") = third;
	register long x3 __asm__("x3") = fourth;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
#error "an architecture that brc does not know"
#endif
}

void _start(void)
{
	unsigned long all = ~0UL;

	/* A signal that is blocked waits, also for process 1, to which those without a handler are not even sent. */
	kernel(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, sizeof(all));
	for (;;) {
		long got = kernel(SYS_rt_sigtimedwait, (long)&all, 0, 0, sizeof(all));
		if (got == SIGINT || got == SIGTERM)
			kernel(SYS_exit_group, 0, 0, 0, 0);
		/* several that end at once are one signal */
		while (got == SIGCHLD && kernel(SYS_wait4, -1, 0, WNOHANG, 0) > 0)
			;
	}
}
