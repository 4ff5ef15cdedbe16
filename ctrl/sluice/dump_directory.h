// The files of a dump, in a temporary directory that only its owner can read, until they are packed. errors.txt lists
// what could not be collected. One thread at a time; the destructor removes the directory.
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

  // `file` without directories, e.g. "status.json". An empty text makes no file.
  void Write(const std::string& file, const std::string& text);
  // Writes the output of a program. False: it printed nothing.
  bool Run(const std::string& file, const std::vector<std::string>& arguments);
  void Note(const std::string& file, const Status& error);  // nothing if OK

  std::size_t files() const { return files_; }
  const std::string& errors() const { return errors_; }  // a line each: "metrics.txt: why"

  // Writes a .tar.gz that only its owner can read.
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
