/** State dictionaries of PyTorch files (.pt, .pth, .ckpt of torch.save, zip or legacy), read without running anything in them. */
import type * as TE from 'fp-ts/lib/TaskEither.js';
import { type Failure, refuse, suggestion } from '../config/index.ts';
import {
  BYTES,
  decodedBytes,
  decodeElements,
  type ElementType,
  isDense,
  type NdArray,
  type NumericArray,
  sizeOf,
} from './arrays.ts';
import { Attributes } from './pickle.ts';
import { type TorchFile, withTorchFile } from './torch-file.ts';
import { TensorView } from './torch-pickle.ts';

/** Type and shape of a tensor in a file. */
export interface TensorInfo {
  readonly type: ElementType | undefined;
  readonly shape: readonly number[];
}

/** Which dictionary of a PyTorch file is read, and which of its tensors. */
export interface TorchStateOptions {
  /** Path of the dictionary in the file, such as `state_dict`; by default it is looked for. */
  readonly key?: string;
  /** Reads only these tensors (each must be there), or those the test accepts. */
  readonly tensors?: readonly string[] | ((name: string) => boolean);
  /** Chooses from what is there, before any number is read. */
  readonly choose?: (tensors: ReadonlyMap<string, TensorInfo>) => readonly string[];
}

type State = Map<string, TensorView>;

/** Dictionaries in dictionaries, modules in modules. */
const DEPTH = 32;

/** Where a checkpoint usually keeps its state dictionary, in the order they are tried. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights', 'params'];
/** What a checkpoint has besides: not searched. */
const BESIDES = /optim|sched|callback|loops|hyper|hparams|config|args|rng|scaler/i;

/** Parameters and buffers of a module, by their dotted names, as state_dict() names them. */
function moduleState(module: Attributes, prefix: string, depth: number, into: State): State {
  if (depth === 0) return into;
  for (const part of ['_parameters', '_buffers']) {
    const tensors = module.get(part);
    if (!(tensors instanceof Map)) continue;
    for (const [name, tensor] of tensors)
      if (typeof name === 'string' && tensor instanceof TensorView) into.set(prefix + name, tensor);
  }
  const children = module.get('_modules');
  if (children instanceof Map)
    for (const [name, child] of children)
      if (typeof name === 'string' && child instanceof Attributes)
        moduleState(child, `${prefix}${name}.`, depth - 1, into);
  return into;
}

/**
 * The tensors by name in a dictionary, in what it holds under a usual name, or else in all dictionaries that it holds, each with its key in
 * front. A node is looked at once: pickles can hold themselves.
 */
function findState(node: unknown, depth = DEPTH, seen = new Set<unknown>()): State {
  if (depth === 0 || !(node instanceof Map) || seen.has(node)) return new Map();
  seen.add(node);
  if (node instanceof Attributes) return moduleState(node, '', depth, new Map());
  const entries = [...node].filter((entry): entry is [string, unknown] => typeof entry[0] === 'string');
  const own = entries.filter((entry): entry is [string, TensorView] => entry[1] instanceof TensorView);
  if (own.length > 0) return new Map(own);
  for (const wrapper of WRAPPERS) {
    const found = findState(node.get(wrapper), depth - 1, seen);
    if (found.size > 0) return found;
  }
  const inner = entries
    .filter(([key]) => !BESIDES.test(key))
    .map(([key, value]) => [key, findState(value, depth - 1, seen)] as const)
    .filter(([, state]) => state.size > 0);
  if (inner.length === 1) return inner[0][1];
  return new Map(inner.flatMap(([key, state]) => [...state].map(([name, view]) => [`${key}.${name}`, view])));
}

/** What lies under a dotted path; the keys of dictionaries may have dots themselves. */
function below(node: unknown, path: string, depth = DEPTH): unknown {
  if (path === '') return node;
  if (!(node instanceof Map) || depth === 0) return undefined;
  const children = node instanceof Attributes ? node.get('_modules') : node;
  if (!(children instanceof Map)) return undefined;
  for (const [key, child] of children) {
    if (path === key) return child;
    if (typeof key !== 'string' || !path.startsWith(`${key}.`)) continue;
    const found = below(child, path.slice(key.length + 1), depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The dictionary of tensors that `key` names, or the one that is there. */
function stateOf(content: unknown, key: string | undefined, where: string): State {
  if (key === undefined) {
    const state = findState(content);
    if (state.size > 0) return state;
    if (!(content instanceof Map)) return refuse(where, 'a dictionary of tensors', 'something else');
    const keys = [...content.keys()]
      .slice(0, 20)
      .map(name => (typeof name === 'string' ? name : typeof name));
    return refuse(where, 'a dictionary of tensors', `one with ${keys.join(', ')}`);
  }
  const found = findState(below(content, key));
  if (found.size > 0) return found;
  // The path may also be what the names of some tensors begin with.
  const all = [...findState(content)].filter(([name]) => name.startsWith(`${key}.`));
  if (all.length === 0) refuse(where, 'a dictionary of tensors', 'none', { field: key });
  return new Map(all.map(([name, view]) => [name.slice(key.length + 1), view]));
}

/** All tensors may take this many bytes besides twice those of their storages: views can repeat a storage without end. */
const FREE = 16 * 2 ** 20;

/**
 * Reads tensors, storage by storage; a storage is let go when its last tensor is there. Equal views give one array, and all that are taken
 * from a storage are no more than twice its bytes.
 */
async function readViews(file: TorchFile, views: State, where: string): Promise<[string, NdArray][]> {
  const byStorage = new Map<string, [string, TensorView][]>();
  for (const entry of views) {
    const { key } = entry[1].storage;
    const group = byStorage.get(key);
    if (group) group.push(entry);
    else byStorage.set(key, [entry]);
  }
  const arrays = new Map<string, NdArray>();
  let free = FREE;
  for (const group of byStorage.values()) {
    const { storage } = group[0][1];
    const made = new Map<string, NumericArray>();
    let left = 2 * storage.count * BYTES[storage.type];
    const identity = ({ type, offset, shape, strides, negative }: TensorView) =>
      JSON.stringify([type, offset, shape, strides, negative]);
    for (const [name, view] of group) {
      if (made.has(identity(view))) continue;
      made.set(identity(view), new Uint8Array(0));
      left -= sizeOf(view.shape) * decodedBytes(view.type);
      if (left < -free) {
        refuse(where, 'tensors that share a storage but do not repeat it', `${group.length} views of one`, {
          field: name,
        });
      }
    }
    free += Math.min(0, left);
    const bytes = await file.read(storage);
    const alone = made.size === 1;
    for (const [name, view] of group) {
      let data = made.get(identity(view))!;
      if (data.length === 0 && sizeOf(view.shape) > 0) {
        data = decodeElements(bytes, view.type, { view });
        // Views of one storage become arrays of their own.
        if (!alone && isDense(view)) data = data.slice();
        if (view.negative) for (let i = 0; i < data.length; i++) data[i] = -data[i];
        made.set(identity(view), data);
      }
      arrays.set(name, { shape: view.shape, data });
    }
  }
  return [...views.keys()].map(name => [name, arrays.get(name)!]);
}

/** Reads the tensors of a state dictionary (or of a whole module), by name. What the file calls besides tensors and containers is refused by name. */
export const readTorchState = (
  path: string,
  { key, tensors, choose }: TorchStateOptions = {},
): TE.TaskEither<Failure, Record<string, NdArray>> =>
  withTorchFile(path, async file => {
    const state = stateOf(file.content, key, path);
    const names = [...state.keys()];
    const wanted = choose
      ? choose(state)
      : typeof tensors === 'function'
        ? names.filter(tensors)
        : (tensors ?? names);
    const views: State = new Map();
    for (const name of wanted) {
      const view =
        state.get(name) ??
        refuse(path, `a tensor ${name}`, 'none of that name', { hint: suggestion(name, names) });
      views.set(name, view);
    }
    return Object.fromEntries(await readViews(file, views, path));
  });
