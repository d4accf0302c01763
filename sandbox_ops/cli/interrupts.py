"""Ctrl-C at once, whichever thread the kernel hands the signal to.

Python runs its handlers in the main thread only. Where the kernel gives SIGINT to
another thread (it may, and on some kernels it often does), a main thread that waits for
an answer would go on waiting. So whichever thread gets it, the main thread is woken.
"""

import os
import signal
import threading

_NUDGE = signal.SIGURG  # ignored by default: harmless wherever it strays


def reach_main_thread() -> None:
    """See to it that SIGINT ends the main thread's wait. For a program of our own."""
    main = threading.main_thread().ident
    received, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.signal(_NUDGE, lambda *_: None)  # a signal without a handler ends no wait
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)

    def relay() -> None:
        while number := os.read(received, 1):
            if number[0] == signal.SIGINT and main is not None:
                signal.pthread_kill(main, _NUDGE)

    threading.Thread(target=relay, name="interrupts", daemon=True).start()
