#include "telemetry/hook/hook_stacks.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "telemetry/event/text.h"

namespace sluice::telemetry {
namespace {

struct Mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;  // of `begin` in the file
  std::string file;
};

// Executable mappings of files, from /proc/PID/maps.
std::vector<Mapping> ReadMappings(const std::string& path) {
  std::vector<Mapping> mappings;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    Mapping mapping;
    char dash = 0;
    std::string rights, device, inode;
    words >> std::hex >> mapping.begin >> dash >> mapping.end >> rights >> mapping.offset >> device >> inode >> std::ws;
    std::getline(words, mapping.file);
    if (rights.find('x') != std::string::npos && !mapping.file.empty()) mappings.push_back(std::move(mapping));
  }
  return mappings;
}

}  // namespace

void HookStacks::Fill(const sl_hook_event& event, v1::Hook* out) {
  if (event.kernel_stack >= 0) AddKernelFrames(reader_(event.kernel_stack), out);
  if (event.user_stack >= 0) AddUserFrames(event.pid, reader_(event.user_stack), out);
}

void HookStacks::AddKernelFrames(const std::vector<std::uint64_t>& addresses, v1::Hook* out) {
  if (!std::exchange(tried_, true)) {
    auto symbols = KernelSymbols::Read(options_.symbols);
    if (symbols.ok()) {
      symbols_ = *std::move(symbols);
    } else {
      LogWarn("hook events are without stacks of the kernel: {}", Message(symbols.status()));
    }
  }
  if (!symbols_) return;
  for (const std::uint64_t address : addresses) {
    const auto symbol = symbols_->Find(address);
    if (!symbol) continue;
    v1::StackFrame* const frame = out->add_kernel_stack();
    frame->set_symbol(std::string(symbol->name));
    frame->set_offset(symbol->offset);
    frame->set_module(std::string(symbol->module));
  }
}

void HookStacks::AddUserFrames(std::uint32_t pid, const std::vector<std::uint64_t>& addresses, v1::Hook* out) const {
  if (addresses.empty()) return;
  const std::vector<Mapping> mappings = ReadMappings(fmt::format("{}/{}/maps", options_.proc, pid));
  for (const std::uint64_t address : addresses) {
    for (const Mapping& mapping : mappings) {
      if (address < mapping.begin || address >= mapping.end) continue;
      v1::StackFrame* const frame = out->add_user_stack();
      frame->set_module(ToUtf8(mapping.file));
      frame->set_offset(address - mapping.begin + mapping.offset);
      break;
    }
  }
}

}  // namespace sluice::telemetry
