// A directory for the files that another program is to read or write, gone with this value. Its user alone may look
// into it.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace sluice::client {

class TemporaryFiles {
 public:
  static StatusOr<TemporaryFiles> Make();
  TemporaryFiles(TemporaryFiles&& other) noexcept;
  TemporaryFiles& operator=(TemporaryFiles&&) = delete;
  ~TemporaryFiles();

  // Creates or overwrites; returns its path.
  StatusOr<std::string> Write(const std::string& name, std::string_view text) const;
  StatusOr<std::string> Read(const std::string& name) const;

 private:
  explicit TemporaryFiles(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace sluice::client
