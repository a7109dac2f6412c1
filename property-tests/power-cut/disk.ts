/**
 * What is on a disk when the power goes: a file system in memory that knows what was synced. Of a file's writes since its last sync, and of a
 * folder's changes since its own, any may be lost; a write may be torn; a rename is done or not. This is what POSIX leaves open and more than most file
 * systems do.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import type { RandomStream } from '../../src/tensor/index.ts';

/** A change of a file or a folder, or a sync, as a program asked for it. Paths are absolute. */
export type Change =
  | { readonly kind: 'create' | 'folder' | 'truncate' | 'remove' | 'sync'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'rename' | 'link'; readonly from: string; readonly path: string }
  /** Work that had returned by then; changes nothing. */
  | { readonly kind: 'mark'; readonly label: string };

/** How much of what was not synced survives: each change of content, and each of names, with these probabilities. */
export interface Fate {
  readonly content: number;
  readonly names: number;
}

/** All or nothing, each by chance, and the two ways in which names and content fall apart. */
export const FATES: readonly Fate[] = [
  { content: 0, names: 0 },
  { content: 1, names: 1 },
  { content: 0, names: 1 },
  { content: 0.5, names: 0.5 },
  { content: 0.5, names: 0.5 },
  { content: 0.2, names: 0.8 },
];

type Patch = (bytes: Buffer, share: number) => Buffer;
type NameChange = (names: Map<string, Node>) => void;

class FileNode {
  pending: Patch[] = [];
  constructor(public synced: Buffer) {}

  get now(): Buffer {
    return this.pending.reduce((bytes, patch) => patch(bytes, 1), this.synced);
  }

  sync(): void {
    this.synced = this.now;
    this.pending = [];
  }

  /** `random` decides which writes came through, and how much of a torn one. */
  afterCut({ content }: Fate, random: RandomStream): Buffer {
    return this.pending.reduce((bytes, patch) => {
      if (random.uniform(0, 1) >= content) return bytes;
      return patch(bytes, content < 1 && random.uniform(0, 1) < 0.3 ? random.uniform(0, 1) : 1);
    }, this.synced);
  }
}

class FolderNode {
  pending: NameChange[] = [];
  constructor(public synced: Map<string, Node>) {}

  private after(changes: readonly NameChange[]): Map<string, Node> {
    const names = new Map(this.synced);
    for (const change of changes) change(names);
    return names;
  }

  get now(): Map<string, Node> {
    return this.after(this.pending);
  }

  sync(): void {
    this.synced = this.now;
    this.pending = [];
  }

  afterCut({ names }: Fate, random: RandomStream): Map<string, Node> {
    return this.after(this.pending.filter(() => random.uniform(0, 1) < names));
  }
}

type Node = FileNode | FolderNode;

/** Writes that begin behind the end leave zeros between. */
const written =
  (at: number, bytes: Uint8Array): Patch =>
  (before, share) => {
    const kept = bytes.subarray(0, Math.floor(bytes.length * share));
    const after = Buffer.alloc(Math.max(before.length, at + kept.length));
    before.copy(after);
    after.set(kept, at);
    return after;
  };

function load(path: string): Node {
  if (!statSync(path).isDirectory()) return new FileNode(readFileSync(path));
  return new FolderNode(new Map(readdirSync(path).map(name => [name, load(join(path, name))])));
}

/** The file system below one folder. */
export class Disk {
  private readonly top: FolderNode;

  /** Begins with what is in the folder (or was, and is now in `from`), all of it synced. */
  constructor(
    private readonly root: string,
    from = root,
  ) {
    this.top = load(from) as FolderNode;
  }

  private node(path: string): Node {
    const way = relative(this.root, resolve(path));
    let node: Node = this.top;
    for (const name of way === '' ? [] : way.split(sep)) {
      const next: Node | undefined = node instanceof FolderNode ? node.now.get(name) : undefined;
      if (!next) throw new Error(`the model of the disk has no ${path}`);
      node = next;
    }
    return node;
  }

  private folderOf = (path: string) => this.node(dirname(path)) as FolderNode;
  private file = (path: string) => this.node(path) as FileNode;

  apply(change: Change): void {
    if (change.kind === 'mark') return;
    const { path } = change;
    const name = basename(path);
    const set = (node: Node) => this.folderOf(path).pending.push(names => names.set(name, node));
    if (change.kind === 'create') set(new FileNode(Buffer.alloc(0)));
    else if (change.kind === 'folder') set(new FolderNode(new Map()));
    else if (change.kind === 'link') set(this.node(change.from));
    else if (change.kind === 'write') this.file(path).pending.push(written(change.at, change.bytes));
    else if (change.kind === 'truncate') this.file(path).pending.push(() => Buffer.alloc(0));
    else if (change.kind === 'remove') this.folderOf(path).pending.push(names => names.delete(name));
    else if (change.kind === 'sync') this.node(path).sync();
    else if (change.kind === 'rename') {
      const node = this.node(change.from);
      if (dirname(change.from) !== dirname(path)) throw new Error('the model renames within a folder only');
      this.folderOf(path).pending.push(names => {
        names.delete(basename(change.from));
        names.set(name, node);
      });
    }
  }

  /** What the disk may hold after a cut: content by path, null for folders; each folder before what is in it. */
  afterCut(fate: Fate, random: RandomStream): Map<string, Buffer | null> {
    const found = new Map<string, Buffer | null>();
    const walk = (node: Node, path: string) => {
      if (node instanceof FileNode) {
        found.set(path, node.afterCut(fate, random));
        return;
      }
      found.set(path, null);
      for (const [name, inner] of node.afterCut(fate, random)) walk(inner, join(path, name));
    };
    walk(this.top, '');
    return found;
  }

  /** The length of a file as the program sees it. */
  size(path: string): number {
    return this.file(path).now.length;
  }

  /** Every file and its content, every folder, by path: as the program sees it. */
  listing(): Record<string, string> {
    const found: Record<string, string> = {};
    const walk = (node: Node, path: string) => {
      if (node instanceof FileNode) {
        found[path] = node.now.toString('latin1');
        return;
      }
      if (path !== '') found[`${path}/`] = '';
      for (const [name, inner] of node.now) walk(inner, join(path, name));
    };
    walk(this.top, '');
    return found;
  }
}
