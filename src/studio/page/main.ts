/** The page: what there is on top, one view below. */
import { html, nothing, render } from 'lit';
import type { Library, SourceInfo } from '../api.ts';
import { currentRoute, hrefOf, type Route } from './route.ts';
import { library } from './server.ts';
import type { View } from './view.ts';
import { CompareView } from './views/compare.ts';
import { GraphView } from './views/graph.ts';
import { GrowView } from './views/grow.ts';
import { MapView } from './views/map.ts';
import { SamplingView } from './views/sampling.ts';
import { SymmetryView } from './views/symmetry.ts';

/** Views by name: what each is called, which of a source's sets it shows, and how it is made. */
const VIEWS: Readonly<
  Record<string, { title: string; sets: readonly ('ncas' | 'methods' | 'trajectory')[]; make(): View }>
> = {
  compare: { title: 'Compare', sets: [], make: () => new CompareView() },
  sampling: { title: 'Sampling', sets: ['trajectory'], make: () => new SamplingView() },
  grow: { title: 'Grow', sets: ['ncas', 'methods'], make: () => new GrowView() },
  symmetry: { title: 'Symmetries', sets: ['ncas', 'methods'], make: () => new SymmetryView() },
  graph: { title: 'Graph', sets: ['ncas', 'methods'], make: () => new GraphView() },
  map: { title: 'Map', sets: ['ncas'], make: () => new MapView() },
};

const header = document.createElement('header');
const main = document.createElement('main');
document.body.append(header, main);
const made = new Map<string, View>();
let shown: View | null = null;

const setFor = ({ sets, compared }: SourceInfo, view: string): string | null => {
  if (view === 'compare' && compared) return sets.methods ?? '';
  const kind = VIEWS[view].sets.find(name => sets[name] !== undefined);
  return kind === undefined ? null : sets[kind]!;
};
/** The set that is asked for where the view shows it, else the view's own. */
const setIn = (source: SourceInfo, view: string, asked: string | null | undefined): string | null => {
  const own = [setFor(source, view), ...VIEWS[view].sets.map(name => source.sets[name])];
  return own.find(id => id && id === asked) ?? (setFor(source, view) || null);
};
const viewsOf = (source: SourceInfo): string[] =>
  Object.keys(VIEWS).filter(view => setFor(source, view) !== null);

/** The whole route for what the address says: what it leaves out, or has wrong, is chosen. */
function routeIn({ sources }: Library): Route | null {
  const asked = currentRoute();
  const source =
    sources.find(({ id }) => id === asked.source) ??
    sources.find(found => viewsOf(found).length > 0) ??
    sources[0];
  if (!source) return null;
  const views = viewsOf(source);
  const view = views.find(name => name === asked.view) ?? views[0];
  if (view === undefined) return { view: '', source: source.id, set: null, row: null };
  const set = setIn(source, view, asked.set);
  return { view, source: source.id, set, row: asked.set === set ? (asked.row ?? null) : null };
}

function top({ sources }: Library, route: Route) {
  const source = sources.find(({ id }) => id === route.source)!;
  const kinds = { run: 'Runs', zoo: 'Zoos', weights: 'Weights' } as const;
  return html`<a class="brand" href="#/">weight<b>loom</b> studio</a>
<label class="source"><span class="hidden">what is shown</span><select aria-label="what is shown" @change=${(
    event: Event,
  ) => {
    location.hash = `#//${encodeURIComponent((event.target as HTMLSelectElement).value)}`;
  }}>${Object.entries(kinds).map(([kind, title]) => {
    const all = sources.filter(found => found.kind === kind);
    return all.length === 0
      ? nothing
      : html`<optgroup label=${title}>${all.map(({ id, title, problem }) => html`<option value=${id} ?selected=${id === source.id}>${title}${problem === null ? '' : ' ⚠'}</option>`)}</optgroup>`;
  })}</select></label>
<nav aria-label="views">${viewsOf(source).map(view => {
    // An NCA that was chosen goes along to every view that shows its set.
    const set = setIn(source, view, route.row === null ? null : route.set);
    const row = set === route.set ? route.row : null;
    return html`<a href=${hrefOf({ view, source: source.id, set, row })} aria-current=${view === route.view ? 'page' : 'false'}>${VIEWS[view].title}</a>`;
  })}</nav>
${source.report ? html`<a class="report" href="/runs/${encodeURIComponent(source.id)}/report.html" target="_blank" rel="noopener">its report</a>` : nothing}
${source.problem === null ? nothing : html`<p class="problem" role="alert">${source.problem}</p>`}`;
}

async function show(): Promise<void> {
  try {
    const found = await library();
    const route = routeIn(found);
    if (!route) return say('Nothing was given to show.');
    // What the address left out or had wrong is put right in it.
    if (location.hash !== hrefOf(route)) history.replaceState(null, '', hrefOf(route));
    render(top(found, route), header);
    shown?.close();
    shown = null;
    if (route.view === '') {
      main.replaceChildren();
      return;
    }
    const view = made.get(route.view) ?? VIEWS[route.view].make();
    made.set(route.view, view);
    shown = view;
    main.replaceChildren(view.element);
    document.title = `${VIEWS[route.view].title} · weightloom studio`;
    await view.show(route);
  } catch (error) {
    say((error as Error).message);
  }
}

/** One sentence in place of a view. */
function say(sentence: string): void {
  const place = document.createElement('p');
  place.className = 'problem';
  place.setAttribute('role', 'alert');
  place.textContent = sentence;
  main.replaceChildren(place);
}

addEventListener('hashchange', show);
show();
