// Where everything that is shown comes from: a server, or the report's own file.
import type { Control, Difference, Event, Events, Frame, FrameQuery, Life, Moment, Run, Session, Spans, State, Tree } from './api.ts';
import { decodeFrame } from './frame.ts';

export interface NewEvent { at: number; name: string; detail?: string; duration?: number }

export interface Imported { added: number; refused: { line: number; why: string }[] }

/** What a run that goes on tells by itself. */
export interface RunNews { grown?(to: number): void; state?(state: State): void; facts?(): void; connected?(open: boolean): void }

/** What a server tells by itself. */
export interface SessionNews { runs?(): void; connected?(open: boolean): void }

export interface Source {
  /** Whether nothing can change: all is in the page itself. */
  readonly embedded: boolean;
  session(): Promise<Session>;
  run(id: string, signal?: AbortSignal): Promise<Run>;
  frame(id: string, query: FrameQuery, signal?: AbortSignal): Promise<Frame>;
  processes(id: string, at: number, signal?: AbortSignal): Promise<Moment>;
  findProcesses(id: string, text: string, signal?: AbortSignal): Promise<Moment>;
  life(id: string, pid: number, startTicks: number, signal?: AbortSignal): Promise<Life>;
  spans(id: string, from: number, to: number, limit: number, signal?: AbortSignal): Promise<Spans>;
  events(id: string, from: number, to: number, signal?: AbortSignal): Promise<Events>;
  addEvent(id: string, event: NewEvent): Promise<Event>;
  changeEvent(id: string, key: string, event: NewEvent): Promise<Event>;
  deleteEvent(id: string, key: string): Promise<void>;
  importEvents(id: string, csv: string, zone: string): Promise<Imported>;
  /** Where the events can be fetched as CSV; null if nowhere. */
  eventsAddress(id: string): string | null;
  difference(ids: string[], signal?: AbortSignal): Promise<Difference[]>;
  tree(pid: number, signal?: AbortSignal): Promise<Tree>;
  control(order: Control): Promise<Session>;
  /** Listens until the answer is called. */
  watchRun(id: string, news: RunNews): () => void;
  watchSession(news: SessionNews): () => void;
}

/** The server said no, and why. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {}

/** Whether something failed only because nobody wants it any more. */
export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

/** What went wrong, in words for a person. */
export const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A server by HTTP; its address is that of the page. */
export class HttpSource implements Source {
  readonly embedded = false;

  session(): Promise<Session> {
    return this.json('GET', 'api/session');
  }

  run(id: string, signal?: AbortSignal): Promise<Run> {
    return this.json('GET', path(id), undefined, signal);
  }

  async frame(id: string, query: FrameQuery, signal?: AbortSignal): Promise<Frame> {
    const answer = await this.ask('GET', `${path(id)}/frame?q=${encodeURIComponent(JSON.stringify(query))}`, undefined, signal);
    return decodeFrame(await answer.arrayBuffer());
  }

  processes(id: string, at: number, signal?: AbortSignal): Promise<Moment> {
    return this.json('GET', `${path(id)}/processes?at=${at}`, undefined, signal);
  }

  findProcesses(id: string, text: string, signal?: AbortSignal): Promise<Moment> {
    return this.json('GET', `${path(id)}/processes?find=${encodeURIComponent(text)}`, undefined, signal);
  }

  life(id: string, pid: number, startTicks: number, signal?: AbortSignal): Promise<Life> {
    return this.json('GET', `${path(id)}/process?pid=${pid}&start=${startTicks}`, undefined, signal);
  }

  spans(id: string, from: number, to: number, limit: number, signal?: AbortSignal): Promise<Spans> {
    return this.json('GET', `${path(id)}/spans?from=${from}&to=${to}&limit=${limit}`, undefined, signal);
  }

  events(id: string, from: number, to: number, signal?: AbortSignal): Promise<Events> {
    return this.json('GET', `${path(id)}/events?from=${from}&to=${to}`, undefined, signal);
  }

  addEvent(id: string, event: NewEvent): Promise<Event> {
    return this.json('POST', `${path(id)}/events`, event);
  }

  changeEvent(id: string, key: string, event: NewEvent): Promise<Event> {
    return this.json('PUT', `${path(id)}/events/${encodeURIComponent(key)}`, event);
  }

  async deleteEvent(id: string, key: string): Promise<void> {
    await this.ask('DELETE', `${path(id)}/events/${encodeURIComponent(key)}`);
  }

  async importEvents(id: string, csv: string, zone: string): Promise<Imported> {
    const answer = await this.ask('POST', `${path(id)}/events/import?zone=${encodeURIComponent(zone)}`, csv, undefined, 'text/csv');
    return (await answer.json()) as Imported;
  }

  eventsAddress(id: string): string {
    return `${path(id)}/events.csv`;
  }

  difference(ids: string[], signal?: AbortSignal): Promise<Difference[]> {
    return this.json('GET', `api/difference?${ids.map((id) => `id=${encodeURIComponent(id)}`).join('&')}`, undefined, signal);
  }

  tree(pid: number, signal?: AbortSignal): Promise<Tree> {
    return this.json('GET', `api/tree?pid=${pid}`, undefined, signal);
  }

  control(order: Control): Promise<Session> {
    return this.json('POST', 'api/control', order);
  }

  watchRun(id: string, news: RunNews): () => void {
    return listen(`${path(id)}/live`, news.connected, {
      grown: (data) => news.grown?.((data as { to: number }).to),
      state: (data) => news.state?.((data as { state: State }).state),
      facts: () => news.facts?.(),
    });
  }

  watchSession(news: SessionNews): () => void {
    return listen('api/live', news.connected, { runs: () => news.runs?.() });
  }

  private async json<T>(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const answer = await this.ask(method, address, body === undefined ? undefined : JSON.stringify(body), signal, 'application/json');
    return (await answer.json()) as T;
  }

  private async ask(method: string, address: string, body?: string, signal?: AbortSignal, type?: string): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(address, { method, body, signal, headers: body !== undefined && type ? { 'content-type': type } : {}, credentials: 'same-origin' });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new Unreachable('Barograph does not answer: it has ended, or cannot be reached from here.');
    }
    if (answer.ok) return answer;
    const said = (await answer.json().catch(() => null)) as { error?: string } | null;
    throw new Refusal(answer.status, said?.error ?? `Barograph answered ${answer.status} ${answer.statusText}.`);
  }
}

const path = (id: string): string => `api/runs/${encodeURIComponent(id)}`;

/**
 * Server-sent events, again and again until the answer is called. A page that nobody sees holds no connection: browsers give all pages of a server six
 * together, and those that are seen need them.
 */
function listen(address: string, connected: ((open: boolean) => void) | undefined, on: Record<string, (data: unknown) => void>): () => void {
  let stream: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = 1000;
  const close = (): void => {
    clearTimeout(timer);
    stream?.close();
    stream = null;
  };
  const open = (): void => {
    close();
    if (document.hidden) return;
    const opened = new EventSource(address);
    stream = opened;
    opened.onopen = () => {
      wait = 1000;
      connected?.(true);
    };
    opened.onerror = () => {
      close();
      connected?.(false);
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, 15_000);
    };
    for (const [name, act] of Object.entries(on)) {
      opened.addEventListener(name, (event) => {
        const { data } = event as MessageEvent<string>;
        act(data ? (JSON.parse(data) as unknown) : {});
      });
    }
  };
  document.addEventListener('visibilitychange', open);
  open();
  return () => {
    document.removeEventListener('visibilitychange', open);
    close();
  };
}
