#include "ctrl/resources/resource_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "policy/kinds/kinds.h"

namespace sluice::resources {
namespace {

namespace fs = std::filesystem;

StatusOr<std::string> ReadFile(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  return ReadResourceText(fd.get(), path);
}

// Not directories, nor pipes, which may block. A dangling link counts as one, so that opening it reports the error.
bool IsResourceFile(const fs::directory_entry& entry) {
  const std::string extension = entry.path().extension();
  if (entry.path().filename().string().starts_with('.')) return false;
  if (extension != ".yaml" && extension != ".yml" && extension != ".json") return false;
  std::error_code unknown;
  const fs::file_type type = entry.status(unknown).type();
  return type == fs::file_type::regular || type == fs::file_type::not_found || type == fs::file_type::none;
}

bool IsHidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

StatusOr<std::vector<std::string>> ListResourceFiles(const std::string& directory, Depth depth) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (IsResourceFile(*entry)) paths.push_back(entry->path());
    if (depth == Depth::kThisDirectory || IsHidden(entry->path())) entry.disable_recursion_pending();
  }
  if (error) return ErrnoError(error.value(), "list {}", directory);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

// The size of a regular file is checked before it is read; a pipe is read until it has given too much.
StatusOr<std::string> ReadResourceText(int fd, const std::string& name) {
  const auto too_large = [&name] {
    return InvalidError("{}: larger than {} bytes, which is the limit: split the file", name,
                        policy::kMaxResourceBytes);
  };
  struct stat info {};
  if (fstat(fd, &info) != 0) return ErrnoError(errno, "stat {}", name);
  if (info.st_size > static_cast<off_t>(policy::kMaxResourceBytes)) return too_large();
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read {}", name);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > policy::kMaxResourceBytes) return too_large();
  }
}

StatusOr<std::vector<ResourceFile>> ReadResourceFiles(const std::string& path, Depth depth) {
  std::vector<std::string> paths{path};
  std::error_code error;
  if (fs::is_directory(path, error)) {
    SL_ASSIGN_OR_RETURN(paths, ListResourceFiles(path, depth));
  }
  std::vector<ResourceFile> files;
  for (const std::string& file : paths) {
    SL_ASSIGN_OR_RETURN(std::string text, ReadFile(file));
    files.push_back({file, std::move(text)});
  }
  return files;
}

std::vector<policy::SourceText> TextsOf(const std::vector<ResourceFile>& files) {
  std::vector<policy::SourceText> texts;
  for (const ResourceFile& file : files) texts.push_back({file.path, file.text});
  return texts;
}

StatusOr<policy::ResourceMap> ReadResourceDirectory(const std::string& directory, policy::tracing::Reading reading) {
  SL_ASSIGN_OR_RETURN(const auto files, ReadResourceFiles(directory));
  policy::GatheredTexts gathered = policy::Gather(TextsOf(files), {.more_kinds = policy::MoreKinds(reading)});
  SL_RETURN_IF_ERROR(gathered.FirstError());
  policy::ResourceMap resources;
  for (policy::Resource& resource : gathered.resources) resources[resource.id] = std::move(resource);
  return resources;
}

}  // namespace sluice::resources
