"""From commands as written to steps that run: every command is known, required, complete, and stands where it may."""

from __future__ import annotations

from filters.sieve import checks
from filters.sieve.arguments import Reader
from filters.sieve.error import SieveError
from filters.sieve.extensions import required
from filters.sieve.grammar import Command, read
from filters.sieve.program import Act, Block, Call, If, Loop, Step
from filters.sieve.signatures import ACTIONS, CONTROLS, TESTS, Signature

#: Tests and commands of one script.
TESTS_AT_MOST, COMMANDS_AT_MOST = 2000, 2000


def compiled(text: str) -> tuple[Block, tuple[Call, ...]]:
    """The steps of a script, and every command and test in it; `SieveError` where it cannot run."""
    commands = read(text)
    compiler = _Compiler(Reader(required(commands)))
    start = next((index for index, command in enumerate(commands) if command.name != "require"), len(commands))
    steps = compiler.block(commands[start:], ())
    checks.destinations_are_the_owners(compiler.calls)
    return steps, tuple(compiler.calls)


class _Compiler:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.calls: list[Call] = []
        self._tests = 0

    def block(self, commands: tuple[Command, ...], loops: tuple[str, ...]) -> Block:
        """The steps of a block; `loops` are the names of those it stands in, outermost first."""
        steps: list[Step] = []
        at = 0
        while at < len(commands):
            command = commands[at]
            if command.name == "if":
                end = at + 1
                while end < len(commands) and commands[end].name in ("elsif", "else"):
                    end += 1
                steps.append(self._if(commands[at:end], loops))
                at = end
                continue
            steps.append(self._step(command, loops))
            at += 1
        return tuple(steps)

    def _if(self, commands: tuple[Command, ...], loops: tuple[str, ...]) -> If:
        branches = []
        for index, command in enumerate(commands):
            if index and commands[index - 1].name == "else":
                raise SieveError(command.line, f"{command.name} follows else, which ends what began with if")
            self._shape(command, CONTROLS[command.name])
            self._reader.sort(command, CONTROLS[command.name])
            test = self._test(command.tests[0]) if command.tests else None
            branches.append((test, self.block(command.block or (), loops)))
        return If(tuple(branches))

    def _step(self, command: Command, loops: tuple[str, ...]) -> Step:
        name = command.name
        if name in ("elsif", "else"):
            raise SieveError(command.line, f"{name} does not follow if or elsif")
        if name == "require":
            raise SieveError(command.line, "require stands at the beginning of a script, before any other command")
        signature = CONTROLS.get(name) or ACTIONS.get(name)
        if signature is None:
            test = " here, for it is a test: write if before it" if name in TESTS else ": there is no such command"
            raise SieveError(command.line, f"{name} cannot stand{test}" if name in TESTS else f"{name}{test}")
        self._allowed(command, signature)
        self._shape(command, signature)
        call = self._call(command, signature)
        if len(self.calls) > TESTS_AT_MOST + COMMANDS_AT_MOST:
            raise SieveError(command.line, f"the script has more than {COMMANDS_AT_MOST} commands")
        checks.check(call)
        if name == "foreverypart":
            loop = str(call.tags.get("name") or "")
            return Loop(call, loop, self.block(command.block or (), (*loops, loop)))
        if name in ("break", "extracttext"):
            checks.check_loop(call, loops)
        return Act(call)

    def _test(self, command: Command) -> Call:
        signature = TESTS.get(command.name)
        if signature is None:
            what = "a command, and no test" if command.name in ACTIONS or command.name in CONTROLS else "no test"
            raise SieveError(command.line, f"{command.name} is {what}")
        self._tests += 1
        if self._tests > TESTS_AT_MOST:
            raise SieveError(command.line, f"the script has more than {TESTS_AT_MOST} tests")
        self._allowed(command, signature)
        self._shape(command, signature)
        tests = tuple(self._test(one) for one in command.tests)
        call = self._call(command, signature, tests)
        checks.check(call)
        return call

    def _call(self, command: Command, signature: Signature, tests: tuple[Call, ...] = ()) -> Call:
        tags, given, match = self._reader.sort(command, signature)
        call = Call(command.name, command.line, command.column, tags, given, match, tests)
        self.calls.append(call)
        return call

    def _allowed(self, command: Command, signature: Signature) -> None:
        if not self._reader.has(signature.needs):
            needs = signature.needs if isinstance(signature.needs, str) else signature.needs[0]
            raise SieveError(command.line, f'{command.name} needs require "{needs}"; at the beginning of the script')

    def _shape(self, command: Command, signature: Signature) -> None:
        """Whether tests and a block follow it as they may."""
        name, tests = command.name, command.tests
        if signature.tests == "none" and tests:
            raise SieveError(tests[0].line, f"{name} takes no test, and {tests[0].name} stands there")
        if signature.tests == "one" and (len(tests) != 1 or command.listed):
            raise SieveError(command.line, f"{name} takes one test: write it without parentheses, or allof or anyof")
        if signature.tests == "many" and not command.listed:
            raise SieveError(command.line, f"{name} takes tests in parentheses, with commas between them")
        if signature.block and command.block is None:
            raise SieveError(command.line, f"{name} takes a block of commands in {{ and }}")
        if command.block is not None and not signature.block:
            raise SieveError(command.line, f"{name} takes no block of commands: end it with a semicolon")
