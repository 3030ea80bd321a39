"""The base of all programs that the harness starts, logs and stops.

A service has a temporary directory, in which its output is kept. Its start waits until the program
is ready, or says why it is not. Its end stops the program and checks that nothing of it is left. If
the `with` block has failed, the end of the log is printed, and pytest shows it.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from . import processes
from .assembly import Assembly
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from .netns import Namespace
    from .processes import Command, Output

LOG_TAIL_CHARACTERS = 8000
VANISH_S = 2.0
"""How long a child that was killed may take to vanish."""
SAY_S = 10.0
"""How long `wait_for_log` waits by default."""


class ServiceError(RuntimeError):
    """A program did not start, did not stop or left something behind; the text has its log."""


class Service(Assembly):
    """A program of this machine or of a namespace, from the start of a `with` block to its end.

    A subclass says what to run (`command`) and how to tell that it is ready (`is_ready`).
    """

    name: str
    """Its name in messages."""
    start_s: ClassVar[float] = 20.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_s: ClassVar[float] = 15.0
    takes_input: ClassVar[bool] = False
    may_end: bool = False
    """Whether it may end by itself as soon as it has been started."""
    leaves_nothing: bool = True
    """Whether a process that outlives it is an error."""

    def __init__(self, namespace: Namespace | None = None) -> None:
        self.namespace = namespace
        self.directory = Path("/nonexistent")
        """Its temporary directory, once the `with` block is entered."""
        self._process: subprocess.Popen[str] | None = None
        self._log_at_exit = ""

    def command(self) -> Command:
        """Return the command line."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return whether the program that was started is ready."""
        return True

    def lay_out(self) -> None:
        """Write the files that the program needs into `directory`."""

    def environment(self) -> Mapping[str, str]:
        """Return variables to add to the program's environment."""
        return {}

    def working_directory(self) -> Path | None:
        """Return where the program runs; None is where the tests do."""
        return None

    def logs(self) -> list[Path]:
        """Return the files that `log_text` is made of."""
        return [self._output]

    def build(self) -> None:
        """Make the directory and start the program."""
        place = tempfile.TemporaryDirectory(prefix=f"vpnws-{self.name.lower()}-")
        self.directory = Path(self.parts.enter_context(place))
        self.parts.callback(self._keep_log)
        self.lay_out()
        self.parts.callback(self.clean_up)
        self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            super().__exit__(kind, error, trace)
            if error is not None:
                print(f"--- {self.name}'s log:\n{self._log_tail()}")

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that was started. Raises `ServiceError` before the start."""
        if self._process is None:
            raise ServiceError(f"{self.name} was not started: use it in a with statement")
        return self._process

    def pids(self) -> list[int]:
        """Return the ids of all its living processes, the first one's first."""
        return processes.session_pids(self.process.pid)

    def log_text(self) -> str:
        """Return its log so far; after the end, the whole."""
        if not self._output.exists():
            return self._log_at_exit
        return "".join(path.read_text(errors="replace") for path in self.logs() if path.exists())

    def wait_for_log(self, text: str, count: int = 1, *, within_s: float = SAY_S) -> None:
        """Wait until `text` is `count` times in the log. Raises `TimeoutError` with the log."""
        what = f"{self.name} to say {text!r}"
        try:
            wait_for(lambda: self.log_text().count(text) >= count, within_s, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said:\n{self._log_tail()}") from None

    def start(self) -> None:
        """Start the program, again if it was stopped, and wait until it is ready.

        Raises `ServiceError` when it ends instead, or is not ready in time.
        """
        launch = self.namespace.popen if self.namespace else processes.start
        with self._output.open("a") as sink:
            self._process = launch(
                self.command(),
                stdin=self._input(),
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd=self.working_directory(),
            )
        try:
            wait_for(self._is_ready_or_over, self.start_s, f"{self.name} to be ready")
        except TimeoutError as error:
            raise self.failure(str(error)) from None
        self.settle()
        status = self.process.poll()
        if status is not None and not self.may_end:
            raise self.failure(f"{self.name} ended at start, status {status}")

    def settle(self) -> None:
        """Wait for what comes right after the program is ready."""

    def stop(self) -> int:
        """End the program in an orderly way and return its exit status, also if it has ended.

        Raises `ServiceError` when it stays.
        """
        return self.end_by(self.stop_signal)

    def end_by(self, number: signal.Signals) -> int:
        """Send the program this signal, unless it has ended; then do as `wait_for_end`."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait_for_end(f" of {number.name}")

    def wait_for_end(self, since: str = "") -> int:
        """Wait until the program has ended and return its exit status.

        Raises `ServiceError` when it stays; `since` follows the time in its sentence.
        """
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(self.stop_s)
        raise self.failure(f"{self.name} did not end within {self.stop_s:g} s{since}")

    def finish(self) -> None:
        """Stop the program and check that nothing of it is left. Raises `ServiceError`."""
        self.stop()
        if self.leaves_nothing:
            self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """Raise `ServiceError` when a process of it lives on."""
        try:
            wait_for(lambda: not self.pids(), VANISH_S, f"{self.name}'s processes to be gone")
        except TimeoutError:
            raise self.failure(f"{self.name} left processes behind: {self.pids()}") from None

    def clean_up(self) -> None:
        """Take away what is left of the program, whatever went wrong."""
        if self._process:
            processes.stop(self._process, grace_s=min(self.stop_s, processes.GRACE_S))
            if self._process.stdin:
                self._process.stdin.close()

    def failure(self, sentence: str) -> ServiceError:
        """Return the exception that says `sentence` and shows the log."""
        return ServiceError(f"{sentence}\n{self._log_tail()}")

    @property
    def _output(self) -> Path:
        return self.directory / "output"

    def _input(self) -> Output:
        return subprocess.PIPE if self.takes_input else subprocess.DEVNULL

    def _is_ready_or_over(self) -> bool:
        return self.process.poll() is not None or self.is_ready()

    def _keep_log(self) -> None:
        self._log_at_exit = self.log_text()

    def _log_tail(self) -> str:
        return self.log_text()[-LOG_TAIL_CHARACTERS:]


class Daemon(Service):
    """A program whose log shows when it is ready."""

    def __init__(self, namespace: Namespace, command: Command, says: str = "") -> None:
        """`says` is the text in its log that shows that it is ready."""
        super().__init__(namespace)
        self._words = processes.words(command)
        self._says = says
        self.name = Path(self._words[0]).name

    def command(self) -> Command:
        """Return the command line."""
        return self._words

    def is_ready(self) -> bool:
        """Return whether the log has the text."""
        return self._says in self.log_text()
