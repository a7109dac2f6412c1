// The tensor kernels. Every export is a kernel: (band, thread, ...arguments).
export { attention, attentionGradient } from "./attention";
export { convBlock, convFilter } from "./conv";
export { adam, addMany, binary, boolToFloat, castNumber, select, unary } from "./elementwise";
export { rowDots } from "./dots";
export { edgeFinish, edgeSlope } from "./edges";
export { fill, whichThread } from "./fill";
export { logic, rareBinary, rareUnary, testFloats } from "./functions";
export { finishRows, gemmBatch, gemmBlock, gemmPackB, sumSlices } from "./gemm";
export { copyBox, gatherRows, segmentSum, sortRows, transposePlanes } from "./move";
export { layerNorm, layerNormGradient } from "./norm";
export { depthwise, depthwiseFilter, depthwiseInput, pool, poolGradient, resizeBilinear } from "./pool";
export { orbitGram } from "./orbit";
export { reduceColumns, reduceRows, softmax } from "./reduce";
export { resizeBackAcross, resizeBackDown } from "./resize";
export { winograd, winogradFilter } from "./winograd";
export { geluAndSlope } from "./gelu";
