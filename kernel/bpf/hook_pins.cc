#include "kernel/bpf/hook_pins.h"

#include <time.h>

#include <filesystem>
#include <vector>

namespace sluice::bpf {
namespace {

namespace fs = std::filesystem;

Status Remove(const std::string& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  return error ? ErrnoError(error.value(), "end the hooks in {}", directory) : OkStatus();
}

std::string DirectoryOf(const PinLayout& layout, HookPins pins) {
  return pins == HookPins::kLsm ? layout.lsm_dir() : layout.hooks_dir();
}

Status EndHooks(const std::string& directory, const std::string& except) {
  std::error_code error;
  std::vector<std::string> lives;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path() != except) lives.push_back(entry.path());
  }
  if (error && error != std::errc::no_such_file_or_directory) return ErrnoError(error.value(), "list {}", directory);
  for (const std::string& life : lives) SL_RETURN_IF_ERROR(Remove(life));
  return OkStatus();
}

}  // namespace

StatusOr<std::string> MakeHookLife(const PinLayout& layout, HookPins pins) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const std::string life = fmt::format("{}/{}{:09}", DirectoryOf(layout, pins), now.tv_sec, now.tv_nsec);
  std::error_code error;
  fs::create_directories(life, error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", life);
  return life;
}

Status EndOtherHooks(const PinLayout& layout, const std::string& life, HookPins pins) {
  SL_ASSIGN_OR_RETURN(const auto layouts, FindLayouts(layout.root()));
  for (const PinLayout& one : layouts) SL_RETURN_IF_ERROR(EndHooks(DirectoryOf(one, pins), life));
  return OkStatus();
}

Status ReleaseHooks(const PinLayout& layout) {
  for (const HookPins pins : {HookPins::kHooks, HookPins::kLsm}) {
    std::error_code error;
    const std::string directory = DirectoryOf(layout, pins);
    if (fs::exists(directory, error)) SL_RETURN_IF_ERROR(Remove(directory));
  }
  return OkStatus();
}

}  // namespace sluice::bpf
