/** Google Tink for Python: a second implementation of the format of our objects. */
import { type PythonEnvironment, pythonWith } from "./python";

/** `python3` with Tink, or why there is none. */
export const tinkPython = (): PythonEnvironment => pythonWith("tink==1.14.1", "tink.streaming_aead");
