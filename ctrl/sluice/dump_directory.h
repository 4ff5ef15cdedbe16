// The files of a dump, in a temporary directory that only its owner can read, until they are packed. What could not be
// had is noted in errors.txt. One thread at a time; removes the directory in the destructor.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::client {

class DumpDirectory {
 public:
  // `name`: of the one directory in the archive.
  static StatusOr<DumpDirectory> Create(const std::string& name);
  DumpDirectory(DumpDirectory&& other) noexcept;
  DumpDirectory& operator=(DumpDirectory&&) = delete;
  ~DumpDirectory();

  // `file` without directories, e.g. "status.json". What is empty makes no file.
  void Write(const std::string& file, const std::string& text);
  // What a program prints, and whether it prints anything.
  bool Run(const std::string& file, const std::vector<std::string>& arguments);
  void Note(const std::string& file, const Status& error);  // nothing where it is none

  std::size_t files() const { return files_; }
  const std::string& errors() const { return errors_; }  // a line each: "metrics.txt: why"

  // As .tar.gz, which only its owner can read.
  Status Pack(const std::string& archive) const;

 private:
  DumpDirectory(std::string parent, std::string name) : parent_(std::move(parent)), name_(std::move(name)) {}
  std::string PathOf(const std::string& file) const { return parent_ + "/" + name_ + "/" + file; }

  std::string parent_;  // empty: moved from
  std::string name_;
  std::size_t files_ = 0;
  std::string errors_;
};

}  // namespace sluice::client
