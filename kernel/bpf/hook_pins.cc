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

Status EndHooks(const PinLayout& layout, const std::string& except) {
  std::error_code error;
  std::vector<std::string> lives;
  for (const auto& entry : fs::directory_iterator(layout.hooks_dir(), error)) {
    if (entry.path() != except) lives.push_back(entry.path());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return ErrnoError(error.value(), "list {}", layout.hooks_dir());
  for (const std::string& life : lives) SL_RETURN_IF_ERROR(Remove(life));
  return OkStatus();
}

}  // namespace

StatusOr<std::string> MakeHookLife(const PinLayout& layout) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const std::string life = fmt::format("{}/{}{:09}", layout.hooks_dir(), now.tv_sec, now.tv_nsec);
  std::error_code error;
  fs::create_directories(life, error);
  if (error) return ErrnoError(error.value(), "create {} (is a BPF file system mounted there?)", life);
  return life;
}

Status EndOtherHooks(const PinLayout& layout, const std::string& life) {
  SL_ASSIGN_OR_RETURN(const auto layouts, FindLayouts(layout.root()));
  for (const PinLayout& one : layouts) SL_RETURN_IF_ERROR(EndHooks(one, life));
  return OkStatus();
}

Status ReleaseHooks(const PinLayout& layout) {
  std::error_code error;
  return fs::exists(layout.hooks_dir(), error) ? Remove(layout.hooks_dir()) : OkStatus();
}

}  // namespace sluice::bpf
