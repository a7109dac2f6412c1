// The NCA kernels. Every export whose first parameters are (item, thread, job) is a kernel.
export { ncaForward, ncaForwardBand } from "./forward";
export { ncaBackward, ncaBackwardBand, ncaBeginGradient, ncaEndGradient } from "./backward";
export { ncaPack, ncaPackedLength, ncaSumGradients } from "./packed";
export { ncaBlock, ncaScratchBytes } from "./scratch";
