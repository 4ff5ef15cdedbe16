#include "telemetry/capture/capture_files.h"

#include <fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <vector>

namespace sluice::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".pcapng";

struct File {
  std::string path;
  std::string workload;  // the part of its name
  std::uint64_t bytes = 0;
  fs::file_time_type written;
};

// "shop_web-0" of "shop_web-0_20261201T131500.123Z_denied.pcapng": names of Kubernetes have no '_'. Empty: not ours.
std::string WorkloadPart(const std::string& name) {
  const std::size_t ns = name.find('_');
  const std::size_t end = ns == std::string::npos ? ns : name.find('_', ns + 1);
  return end == std::string::npos || !name.ends_with(kSuffix) ? "" : name.substr(0, end);
}

StatusOr<std::vector<File>> ListFiles(const std::string& directory) {
  std::vector<File> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    File file{.path = at->path(), .workload = WorkloadPart(at->path().filename())};
    std::error_code gone;
    if (file.workload.empty() || !at->is_regular_file(gone)) continue;
    file.bytes = at->file_size(gone);
    file.written = at->last_write_time(gone);
    if (!gone) files.push_back(std::move(file));
  }
  if (error) return ErrnoError(error.value(), "list {}", directory);
  std::ranges::sort(files, {}, &File::written);
  return files;
}

}  // namespace

StatusOr<CaptureFiles> CaptureFiles::Open(Options options) {
  CaptureFiles files(std::move(options));
  std::error_code error;
  if (!fs::exists(files.options_.directory, error)) return files;
  SL_RETURN_IF_ERROR(files.CheckDirectory());
  for (fs::directory_iterator at(files.options_.directory, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    std::error_code gone;
    if (name.ends_with(std::string(kSuffix) + kUnfinished)) fs::remove(at->path(), gone);
  }
  SL_RETURN_IF_ERROR(files.MakeRoom());
  return files;
}

Status CaptureFiles::CheckDirectory() const {
  std::error_code error;
  if (fs::is_directory(options_.directory, error) && access(options_.directory.c_str(), W_OK | X_OK) == 0)
    return OkStatus();
  return InvalidError("{}: not a directory that can be written", options_.directory);
}

Status CaptureFiles::Prepare() const {
  std::error_code error;
  const bool made = fs::create_directories(options_.directory, error);
  if (error) return ErrnoError(error.value(), "make {}", options_.directory);
  if (made) fs::permissions(options_.directory, fs::perms::owner_all, error);
  return CheckDirectory();
}

std::string CaptureFiles::NewPath(const policy::ObjectName& workload, const std::string& kind,
                                  std::chrono::system_clock::time_point now) const {
  const auto milliseconds = std::chrono::time_point_cast<std::chrono::milliseconds>(now).time_since_epoch().count();
  const std::string stem =
      fmt::format("{}/{}_{}_{:%Y%m%dT%H%M%S}.{:03}Z_{}", options_.directory, workload.ns, workload.name,
                  fmt::gmtime(std::chrono::system_clock::to_time_t(now)), milliseconds % 1000, kind);
  std::string path = stem + std::string(kSuffix);
  std::error_code error;
  for (int number = 2; fs::exists(path, error) || fs::exists(path + kUnfinished, error); ++number)
    path = fmt::format("{}-{}{}", stem, number, kSuffix);
  return path;
}

Status CaptureFiles::MakeRoom() {
  SL_ASSIGN_OR_RETURN(std::vector<File> files, ListFiles(options_.directory));
  std::map<std::string, std::uint64_t> of_workload;
  usage_.files = files.size();
  usage_.bytes = 0;
  for (const File& file : files) {
    of_workload[file.workload] += file.bytes;
    usage_.bytes += file.bytes;
  }
  while (!files.empty() && (usage_.bytes > options_.max_bytes || usage_.files > options_.max_files)) {
    const auto largest = std::ranges::max_element(of_workload, {}, [](const auto& one) { return one.second; });
    auto victim = std::ranges::find(files, largest->first, &File::workload);  // the oldest
    if (victim == files.end()) victim = files.begin();
    if (unlink(victim->path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove {}", victim->path);
    of_workload[victim->workload] -= victim->bytes;
    usage_.bytes -= victim->bytes;
    --usage_.files;
    ++usage_.removed;
    files.erase(victim);
  }
  return OkStatus();
}

}  // namespace sluice::telemetry
