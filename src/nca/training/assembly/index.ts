// The kernels of the texture loss. Every export is a kernel: (band, thread, ...arguments).
export { pyramid, gatherGradient } from "./pyramid";
export { sortedProjections, slicedDistance } from "./sliced";
