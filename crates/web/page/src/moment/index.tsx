// The process table, tree and graph of a moment, and the life of a process.

export function Moment() {
  return null;
}
