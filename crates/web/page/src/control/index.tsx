// What can be ordered: start, stop, snapshot, mark.

export function ControlBar() {
  return null;
}
