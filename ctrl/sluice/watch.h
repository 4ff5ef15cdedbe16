// `get -w`: what has changed since the last look is printed again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ctrl/sluice/get_output.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {

// Pure but for what it tells of objects that have gone.
class ObjectWatch {
 public:
  ObjectWatch(api::KindSelection selection, const OutputForm& form) : selection_(std::move(selection)), form_(form) {}

  // The lines of the objects that are new or otherwise than in the last call; the first time after the titles.
  StatusOr<std::string> Next(std::vector<v1::Object> objects);

 private:
  const api::KindSelection selection_;
  const OutputForm& form_;
  std::map<std::string, std::string> last_;  // objects, by what they are called
  bool began_ = false;
};

// Calls `look` about once a second, for ever: Ctrl-C ends the program with 0. An agent that does not answer is told
// once and waited for, but for the first time.
StatusOr<ExitCode> WatchUntilInterrupted(const std::function<Status()>& look);

}  // namespace sluice::client
