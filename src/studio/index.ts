/** The studio: NCAs, denoisers and parameter graphs live in the browser. */
export type { Library, RunInfo, SetInfo, SourceInfo } from './api.ts';
export { type Studio, type StudioOptions, startStudio } from './server/start.ts';
