/**
 * The runner: the smallest thing that can stay when the server goes. Called as `sh -c SCRIPT runner JOURNAL WORD…`, its
 * working folder, environment, log (1 and 2) and handshake (3) given by the server; it leads its own session and process group.
 *
 * Only shell builtins before and after the command: each fork would cost a millisecond of every step.
 * - Journal line 1 `started PID START BOOT` is written with noclobber (O_EXCL): of two runners in one folder one wins.
 * - Journal line 2 `ended CODE` is appended by one write; a line without its newline is no record. One file and not two,
 *   because a full disk still has room in a block that is already there.
 * - Closing 3 tells the server that line 1 stands. A write instead would die of SIGPIPE where the server is gone.
 * - The traps keep the runner alive through a SIGTERM to its group, so that it can record how the command took it;
 *   a trapped signal (unlike an ignored one) is back to default in the command.
 * - Names of its own would overwrite the command's environment where they are in it: hence functions and their parameters.
 * - Its own standard error is closed: dash would write "Terminated" into the user's log.
 */
export const runnerScript = `
trap : TERM INT HUP QUIT USR1 USR2
exec 4>&2 2>/dev/null
_mw_boot() { read -r _mw < /proc/sys/kernel/random/boot_id; }
_mw_started() { _mw_boot; printf 'started %s %s %s\\n' $$ "\${20}" "$_mw"; }
_mw_run() { shift; "$@" 2>&4 4>&-; }
read -r _mw < /proc/$$/stat
set -C
_mw_started \${_mw##*) } > "$1" || exit 97
set +C
unset _mw
exec 3>&-
_mw_run "$@"
printf 'ended %s\\n' $? >> "$1"
`
