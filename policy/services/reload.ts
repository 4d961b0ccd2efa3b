/**
 * The key broker reads its certificate when it starts. This keeps it up to date in its own container: no controller, no
 * rights at the API server, no second image. It needs a shell with `cksum` and `sleep`, which the images of Trustee have.
 */

/** A mounted Secret follows the object within about a minute; looking costs one small read. */
const LOOK_SECONDS = 5;
/** Replicas see a renewal at nearly the same time; each waits for a part of this, by its name. */
const SPREAD_SECONDS = 60;

/**
 * Arguments: file, seconds between looks, seconds of spread, command. Ends as the command does; a signal to end is passed
 * on. Foreground processes would hold signals back, so everything that takes time is waited for in the background.
 */
const SCRIPT = `file=$1 look=$2 spread=$3; shift 3
start() { seen=$(cksum <"$file"); "$@" & child=$!; }
pause() { sleep "$1" & wait $!; }
trap 'kill -TERM "$child" 2>/dev/null; wait "$child"; exit $?' TERM INT
start "$@"
while kill -0 "$child" 2>/dev/null; do
  pause "$look"
  now=$(cksum <"$file") || continue
  [ "$now" = "$seen" ] && continue
  name=$(printf %s "$HOSTNAME" | cksum)
  pause $((\${name%% *} % spread))
  kill -0 "$child" 2>/dev/null || break
  echo "$file has changed: starting anew" >&2
  kill -TERM "$child" 2>/dev/null; wait "$child"
  start "$@"
done
wait "$child"`;

/** @param file whose content the command reads once. @returns a container's command that starts it anew on a change. */
export const reloading = (
  file: string,
  command: readonly string[],
  { look = LOOK_SECONDS, spread = SPREAD_SECONDS } = {},
): string[] => ["/bin/sh", "-c", SCRIPT, "sh", file, String(look), String(spread), ...command];
