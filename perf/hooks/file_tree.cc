#include "perf/hooks/file_tree.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "perf/hooks/thread_time.h"

namespace sluice::perf {
namespace {

constexpr int kFilesOfDirectory = 50;
constexpr char kFirstPlace[] = "arch/include", kSecondPlace[] = "include";  // all files are in the second one

// Half of the files are below 3 KB, few above 20.
std::size_t SizeOfFile(int number) {
  const auto n = static_cast<std::size_t>(number);
  return n % 20 == 0 ? 20000 + n * 131 % 20000 : n % 2 == 0 ? 300 + n * 37 % 2700 : 3000 + n * 53 % 9000;
}

std::string TextOfFile(int number) {
  std::string text;
  for (int i = 0; text.size() < SizeOfFile(number); ++i)
    text += fmt::format(
        "struct part_{0}_{1} {{ int kind; unsigned long flags; struct part_{0}_{1} *next; }};\n"
        "static inline int kind_{0}_{1}(const struct part_{0}_{1} *part) {{ return part->kind; }}\n",
        number, i);
  return text;
}

Status Write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? OkStatus() : ErrnoError(errno, "write {}", path);
}

double NanosecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
}

// CPU time of a program and those that it starts. It must end with 0.
StatusOr<double> Run(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = -1;
  if (const int error = posix_spawnp(&child, pointers[0], nullptr, nullptr, pointers.data(), environ); error != 0)
    return ErrnoError(error, "start {}", arguments[0]);
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return ErrnoError(errno, "wait for {}", arguments[0]);
  if (status != 0) return MakeError(absl::StatusCode::kInternal, "{} ended with wait status {}", arguments[0], status);
  return NanosecondsOf(usage.ru_utime) + NanosecondsOf(usage.ru_stime);
}

}  // namespace

StatusOr<FileTree> FileTree::Create(const std::string& directory, int files) {
  FileTree tree;
  tree.directory_ = directory;
  std::size_t largest = 0;
  std::error_code error;
  std::filesystem::create_directories(fmt::format("{}/{}", directory, kFirstPlace), error);
  for (int i = 0; i < files; ++i) {
    const std::string part = fmt::format("linux/part-{}", i / kFilesOfDirectory);
    std::filesystem::create_directories(fmt::format("{}/{}/{}", directory, kSecondPlace, part), error);
    if (error) return ErrnoError(error.value(), "make directories in {}", directory);
    tree.names_.push_back(fmt::format("{}/file-{}.h", part, i));
    tree.missing_.push_back(fmt::format("{}/{}/{}", directory, kFirstPlace, tree.names_.back()));
    tree.found_.push_back(fmt::format("{}/{}/{}", directory, kSecondPlace, tree.names_.back()));
    const std::string text = TextOfFile(i);
    SL_RETURN_IF_ERROR(Write(tree.found_.back(), text));
    largest = std::max(largest, text.size());
  }
  tree.buffer_.resize(largest);
  return tree;
}

Status FileTree::ReadOnce() {
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (Fd(open(missing_[i].c_str(), O_RDONLY | O_CLOEXEC)).valid()) return InvalidError("{} exists", missing_[i]);
    const Fd file(open(found_[i].c_str(), O_RDONLY | O_CLOEXEC));
    struct stat facts {};
    if (!file.valid() || fstat(file.get(), &facts) != 0) return ErrnoError(errno, "open {}", found_[i]);
    if (read(file.get(), buffer_.data(), buffer_.size()) != facts.st_size)
      return ErrnoError(errno, "read {}", found_[i]);
  }
  return OkStatus();
}

StatusOr<double> FileTree::Read(int passes) {
  SL_RETURN_IF_ERROR(ReadOnce());  // into the page cache
  const double start = ThreadNanoseconds();
  for (int pass = 0; pass < passes; ++pass) SL_RETURN_IF_ERROR(ReadOnce());
  return (ThreadNanoseconds() - start) / (static_cast<double>(found_.size()) * passes);
}

StatusOr<double> FileTree::Compile(int files) const {
  const std::size_t count = std::min(static_cast<std::size_t>(files), names_.size());
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("#include <{}>\n", names_[i]);
  const std::string program = directory_ + "/program.c";
  SL_RETURN_IF_ERROR(Write(program, text));
  SL_ASSIGN_OR_RETURN(const double time,
                      Run({"cc", "-fsyntax-only", "-I", fmt::format("{}/{}", directory_, kFirstPlace), "-I",
                           fmt::format("{}/{}", directory_, kSecondPlace), program}));
  return time / static_cast<double>(count);
}

}  // namespace sluice::perf
