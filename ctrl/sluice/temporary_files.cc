#include "ctrl/sluice/temporary_files.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::client {

StatusOr<TemporaryFiles> TemporaryFiles::Make() {
  const char* const where = std::getenv("TMPDIR");
  std::string path = std::string(where == nullptr || *where == '\0' ? "/tmp" : where) + "/sluice-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "make the directory {}", path);
  return TemporaryFiles(path);
}

TemporaryFiles::TemporaryFiles(TemporaryFiles&& other) noexcept : path_(std::exchange(other.path_, "")) {}

TemporaryFiles::~TemporaryFiles() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

StatusOr<std::string> TemporaryFiles::Write(const std::string& name, std::string_view text) const {
  std::string path = path_ + "/" + name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.flush()) return ErrnoError(errno, "write {}", path);
  return path;
}

StatusOr<std::string> TemporaryFiles::Read(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoError(errno, "read {}", path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace sluice::client
