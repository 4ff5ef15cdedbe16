// `get -w`: prints objects again that have changed since the last look.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ctrl/sluice/get_output.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {

// Pure, but prints a line to standard error for each object that has gone.
class ObjectWatch {
 public:
  ObjectWatch(api::KindSelection selection, const OutputForm& form) : selection_(std::move(selection)), form_(form) {}

  // The lines of the objects that are new or different since the last call; the first time with the titles.
  StatusOr<std::string> Next(std::vector<v1::Object> objects);

 private:
  const api::KindSelection selection_;
  const OutputForm& form_;
  std::map<std::string, std::string> last_;  // objects, by CallOf
  bool began_ = false;
};

// Calls `look` about once a second; Ctrl-C ends the program with 0. The first look must succeed. Later, an agent that
// does not answer is reported once and waited for.
StatusOr<ExitCode> WatchUntilInterrupted(const std::function<Status()>& look);

}  // namespace sluice::client
