// What the page and the server say to each other. Times are milliseconds since 1970 UTC, with fractions; sizes bytes; absent values null.
// The nouns of charts (Spec, Panel, Card, Limit, Summary, ProcessRow …) are those of crates/view/src/spec.rs.

export type Unit = 'cores' | 'bytes' | 'bytes_per_second' | 'ratio' | 'seconds' | 'hertz' | 'count' | 'per_second' | 'number';
export type Key = number | string;

/** Columns of one table, added and taken away; counters are shown as rates. */
export interface Spec {
  label?: string;
  table: string;
  plus: string[];
  minus?: string[];
  where?: Record<string, Key>;
  /** A line for each subject, by the table's keys. */
  by?: boolean;
  /** Only so many of them; the rest is one line of the kind `others`. */
  top?: number;
}

export interface Limit { label: string; value: number }

export interface Panel {
  id: string;
  title: string;
  help: string;
  unit: Unit;
  style: 'stack' | 'lines' | 'heat';
  specs: Spec[];
  limits: Limit[];
  shown: boolean;
}

export interface Card { title: string; unit: Unit; spec: Spec; panel: string }

export interface Summary { mean: number | null; p95: number | null; peak: number | null; peakAt: number | null; total: number | null; last: number | null }

export interface Gap { from: number; to: number; why: string }

/** One line of a frame. The arrays are views into the frame's bytes; NaN where nothing is known. min and max are absent where each point is one row. */
export interface Line {
  spec: number;
  label: string;
  kind: 'whole' | 'subject' | 'others';
  key: Key[];
  unit: Unit;
  summary: Summary;
  x: Float64Array;
  mean: Float64Array;
  min?: Float64Array;
  max?: Float64Array;
}

export interface Frame { from: number; to: number; lines: Line[]; gaps: Gap[] }

/** What is asked of a frame. */
export interface FrameQuery { from: number; to: number; buckets: number; specs: Spec[] }

// GET /api/runs/ID/frame?q=JSON(FrameQuery) answers application/octet-stream: "BFR1", u32 length of the header, the header in JSON (a Frame whose lines
// have, in place of arrays, `x`, `mean`, `min`, `max` as [offset, length] in 8-byte numbers), zeros up to a multiple of 8, then little-endian float64s.

/** What this server is and may do: GET /api/session. */
export interface Session {
  version: string;
  host: string;
  /** The IANA zone of this machine. */
  zone: string;
  /** Nothing may be changed through the page. */
  readOnly: boolean;
  /** Why nothing can be recorded here; null if something can. */
  cannotRecord: string | null;
  runs: RunHead[];
  /** The run that shows this machine as it is now, recorded by the server itself as long as it lives; null with --read-only on files. */
  machine: string | null;
  /** The recording that this server was told to make through the page and that goes on; null if there is none. */
  recording: Recording | null;
  /** The run to show first. */
  first: string | null;
  /** What could not be opened, and why, in words. */
  refused: { path: string; why: string }[];
}

export type State = 'live' | 'ended' | 'cut off';

export interface RunHead {
  id: string;
  /** Its file name. */
  name: string;
  path: string;
  state: State;
  command: string[] | null;
  host: string | null;
  /** Its begin, and its last row. */
  from: number;
  to: number;
  /** Whether events can be written to it. */
  writable: boolean;
}

/** A recording that this server makes. */
export interface Recording extends Settings { run: string; began: number; rows: number }

/** What is recorded by this server, where, and how often. */
export interface Settings {
  /** Where; without it a name is made. */
  path: string | null;
  intervalSeconds: number;
  writeIntervalSeconds: number;
  /** 'all', 'none', 'top:20' … as `barograph record --processes` has it. */
  processes: string;
  /** Process ids whose trees are recorded; empty for the whole machine. */
  pids: number[];
  /** Sources that are left out, by their names. */
  without: string[];
  /** Conditions whose begin and end the recorder marks: `memory > 2 GiB for 10s`. */
  markWhen?: string[];
}

/** One run: GET /api/runs/ID. */
export interface Run extends RunHead {
  directory: string | null;
  user: string | null;
  kernel: string | null;
  os: string | null;
  cores: number | null;
  memoryBytes: number | null;
  limits: { cores: number | null; memoryBytes: number | null; origin: string | null };
  /** The IANA zone where it was made; null if the file does not know. */
  zone: string | null;
  intervalSeconds: number;
  writeIntervalSeconds: number;
  /** The conditions whose begin and end its recorder marks. */
  markWhen: string[];
  end: { reason: string; exitCode: number | null; signal: number | null } | null;
  totals: { wallSeconds: number | null; userSeconds: number | null; systemSeconds: number | null; peakBytes: number | null; readBytes: number | null; writtenBytes: number | null; processes: number | null };
  notices: { name: string; detail: string; count: number | null }[];
  sources: Record<string, string>;
  panels: Panel[];
  cards: Card[];
  tables: Table[];
  hasProcesses: boolean;
}

export interface Table { name: string; help: string; keys: string[]; rows: number; fields: Field[] }

export interface Field { name: string; id: string; kind: 'counter' | 'gauge' | 'id' | 'text'; unit: string; help: string }

/** GET /api/runs/ID/processes?at=TIME[&pid=&start=]; with `find=TEXT`, those of the whole run whose pid, name or command have it, as they were last. */
export interface Moment { at: number; processes: ProcessRow[] }

export interface ProcessRow {
  pid: number;
  startTicks: number;
  parentPid: number | null;
  name: string | null;
  command: string | null;
  user: string | null;
  state: string | null;
  inJob: boolean;
  cores: number | null;
  residentBytes: number | null;
  read: number | null;
  written: number | null;
  threads: number | null;
  openFiles: number | null;
  waiting: number | null;
  ageSeconds: number | null;
}

/** GET /api/runs/ID/process?pid=&start=: one process's life. */
export interface Life {
  pid: number;
  startTicks: number;
  from: number;
  to: number;
  exitCode: number | null;
  exitSignal: number | null;
  /** Who it was, one entry for each change. */
  identities: { at: number; change: string | null; name: string | null; command: string | null; executable: string | null; user: string | null; parentPid: number | null; cgroup: string | null; container: string | null }[];
  panels: Panel[];
}

/** GET /api/runs/ID/spans?from=&to=&limit=: those that touch the window; the longest, if there are more than the limit. */
export interface Spans { spans: Span[]; left_out: number }

export interface Span {
  id: string;
  parent: string | null;
  name: string;
  status: 'ok' | 'error' | 'open';
  detail: string | null;
  attributes: Record<string, unknown> | null;
  depth: number;
  pid: number | null;
  thread: number | null;
  from: number;
  to: number | null;
  cost: Record<string, { value: number; how: 'exact' | 'sampled'; unit: Unit }>;
}

/** GET /api/runs/ID/events?from=&to=: marks and what else happened, with revisions applied. */
export interface Events { events: Event[]; left_out: number }

export interface Event {
  /** Names it for PUT and DELETE. */
  key: string;
  at: number;
  /** Milliseconds that it lasted, if it lasted. */
  duration: number | null;
  name: string;
  detail: string | null;
  /** `recorder`, `program`, `person` or `rule`. */
  by: string;
  pid: number | null;
  attributes: Record<string, unknown> | null;
}

// POST   /api/runs/ID/events         {at, name, detail?, duration?}    → Event; PUT /api/runs/ID/events/KEY the same; DELETE /api/runs/ID/events/KEY
// POST   /api/runs/ID/events/import?zone=IANA  text/csv (`event,timestamp`)   → {added, refused: [{line, why}]}
// GET    /api/runs/ID/events.csv     → text/csv
// GET    /api/runs/ID/live           → Server-sent events: `grown` {to}, `state` {state}, `facts` {}; a comment each 15 s.
// GET    /api/live                   → the same for the session: `runs` when the list or the server's own recording changed.
// GET    /api/difference?a=ID&b=ID…  → Difference[]
// GET    /api/tree?pid=              → Tree: a process of this machine, its descendants, now.
// POST   /api/control                Control → Session
// Each answer to an error is JSON {error}, a sentence that says what to do, with a status of 4xx or 5xx.

/** A figure of several runs, in their order. */
export interface Difference { name: string; unit: Unit; values: (number | null)[] }

export interface Tree { pid: number; at: number; threads: number; processes: ProcessRow[]; byCommand: { command: string; processes: number; threads: number; residentBytes: number; cores: number }[] }

/** `start` makes a recording; `stop` ends it, and loses nothing; `snapshot` reads all now; `set` changes one that goes on; `reset` ends it and begins another
 *  of the same settings; `open` adds recordings in the folders that were given. `run` names a run in progress of somebody else's recorder for stop, snapshot and set. */
export type Control =
  | { do: 'start'; settings: Partial<Settings> }
  | { do: 'stop' | 'snapshot' | 'reset'; run?: string }
  | { do: 'set'; settings: Partial<Settings>; run?: string };
