// The prototypes of what programs are attached to, in the kernel's types.
#pragma once

#include <string>

struct btf;

namespace sluice::bpf {

enum class PrototypeKind { kFunction, kLsmHook, kRawTracepoint };

// The type's number; below 0: the types do not have it. A raw tracepoint's first parameter is none of its arguments.
int FindPrototype(const btf* types, PrototypeKind kind, const std::string& name);

}  // namespace sluice::bpf
