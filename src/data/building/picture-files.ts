/** The picture files a configuration names, and the table that stands beside them. */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import picomatch from 'picomatch';
import { refuse, suggestion } from '../../config/index.ts';
import { shortNames } from '../split.ts';

/** What sharp reads. */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff', '.gif', '.avif', '.svg'];
const MANIFEST = 'manifest.tsv';

export interface PictureFile {
  readonly name: string;
  readonly path: string;
}

/** All picture files of a folder and the folders below it, or those that a pattern names; sorted by path. Links are not followed. */
export async function listPictures(images: string): Promise<{ root: string; files: PictureFile[] }> {
  const { base, glob, isGlob } = picomatch.scan(images);
  const root = isGlob ? base || '.' : images;
  const found = await stat(root).catch(() => refuse(root, 'a folder with pictures', 'nothing there'));
  if (!found.isDirectory()) refuse(root, 'a folder with pictures', 'a file');
  const fits = isGlob ? picomatch(glob, { nocase: true }) : () => true;
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter(entry => entry.isFile() && EXTENSIONS.includes(extname(entry.name).toLowerCase()))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter(path => fits(path))
    .sort((a, b) => (a < b ? -1 : 1));
  if (paths.length === 0) {
    refuse(
      images,
      `pictures (${EXTENSIONS.join(', ')})`,
      isGlob ? 'no file that fits' : 'a folder without any',
    );
  }
  const names = shortNames(paths.map(path => path.slice(0, path.length - extname(path).length)));
  return { root, files: paths.map((path, i) => ({ name: names[i], path: join(root, path) })) };
}

/** Picture files and the pictures in folders, as they were given. @throws UserError for a path that leads nowhere, or a folder without pictures */
export async function pictureFiles(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const there = await stat(path).catch(() =>
      refuse(path, 'a picture, or a folder of pictures', 'nothing there'),
    );
    if (there.isDirectory()) found.push(...(await listPictures(path)).files.map(file => file.path));
    else found.push(path);
  }
  return [...new Set(found)];
}

export type Row = Readonly<Record<string, string>>;

export interface PictureTable {
  readonly path: string;
  readonly columns: readonly string[];
  /** By the name of the picture. */
  readonly rows: ReadonlyMap<string, Row>;
}

/**
 * Reads a tab-separated table whose column `name` names pictures (with or without their extension).
 * @param path the table; null: manifest.tsv in `root` or the folder above, if there is one
 */
export async function readTable(path: string | null, root: string): Promise<PictureTable | null> {
  const places = [join(root, MANIFEST), join(dirname(join(root, 'x')), '..', MANIFEST)];
  const place = path ?? places.find(candidate => existsSync(candidate));
  if (place === undefined) return null;
  const text = (await readFile(place, 'utf8')).replace(/^\uFEFF/, '');
  const [head = '', ...lines] = text.split(/\r?\n/).filter(line => line.trim() !== '');
  const columns = head.split('\t');
  const at = columns.indexOf('name');
  if (at < 0) refuse(place, 'a tab-separated table with a column name', `the columns ${columns.join(', ')}`);
  const rows = new Map<string, Row>();
  lines.forEach((line, i) => {
    const cells = line.split('\t');
    if (cells.length !== columns.length) {
      refuse(place, `${columns.length} columns`, `${cells.length}`, { field: `line ${i + 2}` });
    }
    const name = cells[at];
    const bare = EXTENSIONS.includes(extname(name).toLowerCase()) ? basename(name, extname(name)) : name;
    if (rows.has(bare)) refuse(place, 'names that differ', `${bare} twice`, { field: `line ${i + 2}` });
    rows.set(bare, Object.fromEntries(columns.map((column, c) => [column, cells[c]])));
  });
  return { path: place, columns, rows };
}

/** Refuses a column that the table does not have. */
export function needColumn({ path, columns }: PictureTable, column: string, field: string): void {
  if (columns.includes(column)) return;
  refuse(path, `a column ${column} (${field} asks for it)`, `the columns ${columns.join(', ')}`, {
    hint: suggestion(column, columns),
  });
}

/** Whether a row has the values asked for. */
export function rowFilter(only: Readonly<Record<string, string | readonly string[]>>): (row: Row) => boolean {
  const tests = Object.entries(only).map(([column, values]) => {
    const fits = picomatch([values].flat() as string[], { nocase: true, dot: true });
    return (row: Row) => fits(row[column] ?? '');
  });
  return row => tests.every(test => test(row));
}
