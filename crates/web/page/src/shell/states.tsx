// Every state has a design: nothing there, not reachable, cut off.

export function Notices() {
  return null;
}

export function Nothing() {
  return null;
}
