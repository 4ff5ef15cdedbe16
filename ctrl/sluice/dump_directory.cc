#include "ctrl/sluice/dump_directory.h"

#include <fcntl.h>

#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/printable.h"
#include "ctrl/sluice/run_program.h"

namespace sluice::client {

namespace fs = std::filesystem;

StatusOr<DumpDirectory> DumpDirectory::Create(const std::string& name) {
  std::error_code error;
  std::string parent = (fs::temp_directory_path(error) / "sluice-sysdump-XXXXXX").string();
  if (mkdtemp(parent.data()) == nullptr) return ErrnoError(errno, "make the directory {}", parent);
  DumpDirectory directory(parent, name);
  fs::create_directory(parent + "/" + name, error);
  if (error) return ErrnoError(error.value(), "make the directory {}/{}", parent, name);
  return directory;
}

DumpDirectory::DumpDirectory(DumpDirectory&& other) noexcept
    : parent_(std::exchange(other.parent_, "")),
      name_(std::move(other.name_)),
      files_(other.files_),
      errors_(std::move(other.errors_)) {}

DumpDirectory::~DumpDirectory() {
  std::error_code error;
  if (!parent_.empty()) fs::remove_all(parent_, error);
}

void DumpDirectory::Write(const std::string& file, const std::string& text) {
  if (text.empty()) return;
  std::ofstream out(PathOf(file), std::ios::binary);
  out << text;
  out.close();
  if (!out) return Note(file, MakeError(absl::StatusCode::kUnknown, "cannot be written in {}", parent_));
  ++files_;
}

bool DumpDirectory::Run(const std::string& file, const std::vector<std::string>& arguments) {
  Note(file, RunIntoFile(arguments, PathOf(file)));
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(PathOf(file), error);
  if (error) return false;
  if (bytes == 0) {
    fs::remove(PathOf(file), error);
    return false;
  }
  ++files_;
  return true;
}

void DumpDirectory::Note(const std::string& file, const Status& error) {
  if (!error.ok()) errors_ += Printable(file + ": " + Message(error)) + "\n";
}

Status DumpDirectory::Pack(const std::string& archive) const {
  if (!errors_.empty()) {
    std::ofstream(PathOf("errors.txt"), std::ios::binary) << "# What could not be collected.\n" << errors_;
  }
  const Fd file(open(archive.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, "open {}", archive);
  return Annotate(
      RunIntoFile({"tar", "--create", "--gzip", "--force-local", "--file=" + archive, "--directory=" + parent_, name_},
                  parent_ + "/tar.txt"),
      "write " + archive);
}

}  // namespace sluice::client
