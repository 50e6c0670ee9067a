// Several runs: how they lie on each other, and how they differ.

export function Runs() {
  return null;
}
