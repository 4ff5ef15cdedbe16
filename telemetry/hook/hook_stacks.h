// Stack traces of hook events. Addresses become names: the kernel's own must not leave the node. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "bpf/abi/hook.h"
#include "telemetry/hook/kernel_symbols.h"

namespace sluice::telemetry {

class HookStacks {
 public:
  // Return addresses of an entry of `hook_stacks`, innermost first; empty: it is gone.
  using Reader = std::function<std::vector<std::uint64_t>(std::int32_t stack)>;
  struct Options {
    std::string symbols = "/proc/kallsyms";  // read with the first stack of the kernel
    std::string proc = "/proc";
  };

  HookStacks(Reader reader, Options options) : reader_(std::move(reader)), options_(std::move(options)) {}
  explicit HookStacks(Reader reader) : HookStacks(std::move(reader), Options()) {}

  // Frames that have no name are left out; so are all frames of the program if the process has ended.
  void Fill(const sl_hook_event& event, v1::Hook* out);

 private:
  void AddKernelFrames(const std::vector<std::uint64_t>& addresses, v1::Hook* out);
  void AddUserFrames(std::uint32_t pid, const std::vector<std::uint64_t>& addresses, v1::Hook* out) const;

  const Reader reader_;
  const Options options_;
  std::optional<KernelSymbols> symbols_;
  bool tried_ = false;  // to read symbols_
};

}  // namespace sluice::telemetry
