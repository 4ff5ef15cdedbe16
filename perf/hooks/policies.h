// Hook policies in the syntax of their users, with the smallest difference that a measurement needs.
#pragma once

#include <string>

#include "kernel/hooks/hook_tables.h"

namespace sluice::perf {

struct HookPolicy {
  std::string name;
  std::string spec;  // of a TracingPolicy, in YAML
};

// A hook on a system call or a function, with one argument and one selector.
struct OneHook {
  std::string function;  // "sys_openat", "security_file_fcntl"
  bool is_call = true;   // a system call
  int argument = 0;
  std::string type;  // of the argument: "int", "string", "fd", "file"
  std::string comparison = "Equal";
  std::string value;  // that the selector wants; its action is Post
};
HookPolicy PolicyOf(const std::string& name, const OneHook& hook);

StatusOr<hooks::CompiledPolicyPtr> CompileHookPolicy(const HookPolicy& policy);

}  // namespace sluice::perf
