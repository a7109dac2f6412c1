/** A shim over Node's file calls: notes every change below a folder, in order, and can fail one of them. */
import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join, resolve, sep } from 'node:path';
import { type Change, Disk } from './disk.ts';

/** The call that fails, by its number among those that may, and how. */
export interface Failing {
  readonly call: number;
  readonly code: 'EIO' | 'ENOSPC';
}

/** Marks that the work has come so far. */
export type Mark = (label: string) => void;

const MAY_FAIL = ['create', 'folder', 'write', 'sync', 'rename', 'link', 'truncate'];

/**
 * Runs `work` and notes what it does below `root`. What it does there by calls that are not known here ends in an error: the disk of the model and the
 * real one are compared at the end.
 * @returns the changes, how many of them could have failed, and what the work threw
 */
export async function watchCalls(
  root: string,
  work: (mark: Mark) => Promise<unknown>,
  failing?: Failing,
): Promise<{ changes: Change[]; calls: number; error: unknown; failed: Change | undefined }> {
  const disk = new Disk(root);
  const changes: Change[] = [];
  let calls = 0;
  let failed: Change | undefined;
  let inside = false;
  const below = (path: unknown): path is string =>
    !inside && typeof path === 'string' && (resolve(path) + sep).startsWith(resolve(root) + sep);

  /** Fails the call, or lets it be done and notes it. */
  function meant(change: Change): void {
    if (!MAY_FAIL.includes(change.kind) || calls++ !== failing?.call) return;
    failed = change;
    const { code } = failing;
    throw Object.assign(new Error(`${code}: made to fail`), { code, syscall: change.kind });
  }
  function note(change: Change): void {
    changes.push(change);
    disk.apply(change);
  }
  /** Does a call of which the change is known before. */
  function doing<T>(change: Change, call: () => T): T {
    meant(change);
    const result = call();
    if (result instanceof Promise) {
      return result.then(value => {
        note(change);
        return value;
      }) as T;
    }
    note(change);
    return result;
  }

  const absolute = (path: string) => resolve(path);
  /** What opening does to the folder or the file. */
  function opened(path: string, flags: unknown): Change | null {
    const there = fs.existsSync(path);
    const flag = String(flags ?? 'r');
    if (!there && /[wa]/.test(flag)) return { kind: 'create', path: absolute(path) };
    if (there && flag.startsWith('w') && !flag.includes('x'))
      return { kind: 'truncate', path: absolute(path) };
    return null;
  }
  const bytesOf = (data: unknown, encoding?: unknown): Uint8Array =>
    typeof data === 'string'
      ? Buffer.from(data, (encoding as BufferEncoding) ?? 'utf8')
      : new Uint8Array(
          (data as Uint8Array).buffer,
          (data as Uint8Array).byteOffset,
          (data as Uint8Array).byteLength,
        ).slice();
  /** Everything below a path that goes, innermost first. */
  function removals(path: string): Change[] {
    if (!fs.existsSync(path)) return [];
    const inner = fs.lstatSync(path).isDirectory()
      ? fs.readdirSync(path).flatMap(name => removals(join(path, name)))
      : [];
    return [...inner, { kind: 'remove', path: absolute(path) }];
  }

  const promises = fs.promises as unknown as Record<string, (...given: never[]) => Promise<unknown>>;
  const sync = fs as unknown as Record<string, (...given: never[]) => unknown>;
  const replaced: (() => void)[] = [];
  const makeOne = promises.mkdir as unknown as (path: string) => Promise<unknown>;
  const replace = (of: typeof promises | typeof sync, name: string, make: (own: never) => unknown) => {
    const own = of[name];
    replaced.push(() => {
      of[name] = own;
    });
    of[name] = make(own as never) as never;
  };

  type Call = (...given: unknown[]) => Promise<unknown>;
  type SyncCall = (...given: unknown[]) => unknown;
  const handles = (handle: FileHandle, path: string, append: boolean): FileHandle => {
    let position = 0;
    const own = { write: handle.write.bind(handle), sync: handle.sync.bind(handle) };
    const refuse = (name: string) => () => {
      throw new Error(`${name} of an open file is not known to the model of the disk`);
    };
    return Object.assign(handle, {
      async write(buffer: Uint8Array, offset = 0, length = buffer.length - offset, at: number | null = null) {
        const from = at ?? (append ? disk.size(path) : position);
        const bytes = bytesOf(buffer.subarray(offset, offset + length));
        const result = await doing({ kind: 'write', path, at: from, bytes }, () =>
          own.write(buffer, offset, length, at),
        );
        if (at === null) position = from + length;
        return result;
      },
      sync: async () => doing({ kind: 'sync', path }, () => own.sync()),
      datasync: async () => doing({ kind: 'sync', path }, () => own.sync()),
      writeFile: refuse('writeFile'),
      appendFile: refuse('appendFile'),
      truncate: refuse('truncate'),
      writev: refuse('writev'),
    });
  };

  replace(promises, 'open', (own: Call) => async (path: unknown, flags: unknown, ...rest: unknown[]) => {
    if (!below(path)) return own(path, flags, ...rest);
    const change = opened(path, flags);
    const handle = await (change
      ? doing(change, () => own(path, flags, ...rest))
      : own(path, flags, ...rest));
    return handles(handle as FileHandle, absolute(path), String(flags).startsWith('a'));
  });
  replace(promises, 'writeFile', (own: Call) => async (path: unknown, data: unknown, options: unknown) => {
    if (!below(path)) return own(path, data, options);
    const { flag = 'w', encoding = 'utf8' } = typeof options === 'object' ? ((options ?? {}) as never) : {};
    const change = opened(path, flag);
    if (!change && String(flag).includes('x')) return own(path, data, options);
    if (change) meant(change);
    const write: Change = { kind: 'write', path: absolute(path), at: 0, bytes: bytesOf(data, encoding) };
    try {
      meant(write);
    } catch (error) {
      // The file is there by then.
      await own(path, '', options);
      if (change) note(change);
      throw error;
    }
    await own(path, data, options);
    if (change) note(change);
    note(write);
  });
  replace(promises, 'mkdir', (own: Call) => async (path: unknown, options: unknown) => {
    if (!below(path)) return own(path, options);
    const missing: string[] = [];
    for (let at = absolute(path); !fs.existsSync(at); at = resolve(at, '..')) missing.unshift(at);
    if (missing.length === 0) return own(path, options);
    for (const one of missing) await doing({ kind: 'folder', path: one }, () => makeOne(one));
  });
  replace(sync, 'mkdirSync', (own: SyncCall) => (path: unknown, options: unknown) => {
    if (!below(path)) return own(path, options);
    const missing: string[] = [];
    for (let at = absolute(path); !fs.existsSync(at); at = resolve(at, '..')) missing.unshift(at);
    if (missing.length === 0) return own(path, options);
    for (const one of missing) doing({ kind: 'folder', path: one }, () => own(one));
  });
  for (const kind of ['rename', 'link'] as const) {
    replace(promises, kind, (own: Call) => async (from: unknown, to: unknown) => {
      if (!below(to) || !below(from)) return own(from, to);
      if (kind === 'link' && fs.existsSync(to)) return own(from, to);
      return doing({ kind, from: absolute(from), path: absolute(to) }, () => own(from, to));
    });
  }
  replace(promises, 'rm', (own: Call) => async (path: unknown, options: unknown) => {
    const gone = below(path) ? removals(path) : [];
    const result = await own(path, options);
    gone.forEach(note);
    return result;
  });

  const open = new Map<number, { path: string; append: boolean; position: number }>();
  replace(sync, 'openSync', (own: SyncCall) => (path: unknown, flags: unknown, mode: unknown) => {
    if (!below(path)) return own(path, flags, mode);
    const change = opened(path, flags);
    const fd = (change ? doing(change, () => own(path, flags, mode)) : own(path, flags, mode)) as number;
    open.set(fd, { path: absolute(path), append: String(flags).startsWith('a'), position: 0 });
    return fd;
  });
  replace(sync, 'closeSync', (own: SyncCall) => (fd: unknown) => {
    open.delete(fd as number);
    return own(fd);
  });
  replace(
    sync,
    'writeSync',
    (own: SyncCall) =>
      (fd: unknown, data: unknown, offset = 0, ...rest: unknown[]) => {
        const file = open.get(fd as number);
        if (!file) return own(fd, data, offset, ...rest);
        const bytes = bytesOf(data).subarray(Number(offset));
        const at = file.append ? disk.size(file.path) : file.position;
        file.position = at + bytes.length;
        return doing({ kind: 'write', path: file.path, at, bytes }, () => own(fd, data, offset, ...rest));
      },
  );
  replace(sync, 'fsyncSync', (own: SyncCall) => (fd: unknown) => {
    const file = open.get(fd as number);
    return file ? doing({ kind: 'sync', path: file.path }, () => own(fd)) : own(fd);
  });
  replace(
    sync,
    'renameSync',
    (own: SyncCall) => (from: unknown, to: unknown) =>
      below(from) && below(to)
        ? doing({ kind: 'rename', from: absolute(from), path: absolute(to) }, () => own(from, to))
        : own(from, to),
  );
  replace(sync, 'rmSync', (own: SyncCall) => (path: unknown, options: unknown) => {
    const gone = below(path) ? removals(path) : [];
    own(path, options);
    gone.forEach(note);
  });
  for (const name of ['writeFileSync', 'appendFileSync'] as const) {
    replace(sync, name, (own: SyncCall) => (path: unknown, data: unknown, options: unknown) => {
      if (!below(path)) return own(path, data, options);
      const flag =
        (options as { flag?: string } | undefined)?.flag ?? (name === 'appendFileSync' ? 'a' : 'w');
      const change = opened(path, flag);
      if (change) meant(change);
      const at = flag.startsWith('a') && !(change?.kind === 'create') ? disk.size(absolute(path)) : 0;
      const write: Change = { kind: 'write', path: absolute(path), at, bytes: bytesOf(data) };
      meant(write);
      // Node does it by calls that are replaced as well.
      inside = true;
      try {
        own(path, data, options);
      } finally {
        inside = false;
      }
      if (change) note(change);
      note(write);
    });
  }
  syncBuiltinESMExports();
  let error: unknown;
  try {
    await work(label => note({ kind: 'mark', label }));
  } catch (thrown) {
    error = thrown;
  } finally {
    for (const restore of replaced) restore();
    syncBuiltinESMExports();
  }
  const expected = JSON.stringify(sorted(disk.listing()));
  const there = JSON.stringify(sorted(new Disk(root).listing()));
  if (expected !== there) {
    throw new Error(
      `the model of the disk missed a call: it has ${expected.slice(0, 2000)}, the disk ${there.slice(0, 2000)}`,
    );
  }
  return { changes, calls, error, failed };
}

const sorted = (listing: Record<string, string>) =>
  Object.entries(listing).sort(([a], [b]) => (a < b ? -1 : 1));

/** Tests of what is asked of the disk do not wait for it. */
export async function syncNothing(): Promise<void> {
  const file = await fs.promises.open(process.execPath, 'r');
  Object.getPrototypeOf(file).sync = async () => {};
  await file.close();
  fs.fsyncSync = () => {};
  syncBuiltinESMExports();
}
