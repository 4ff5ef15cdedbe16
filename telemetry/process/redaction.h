// Removes secrets from arguments: text that matches a pattern is removed from a process's command line before it is
// stored, sent or written. Patterns only know what secrets usually look like. Immutable; thread-safe.
//   SL_ASSIGN_OR_RETURN(auto redaction, Redaction::Make({.patterns = {"--pin[= ](\\d+)"}}));
//   redaction->Apply(&record.argument0, &record.arguments);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace sluice::telemetry {

class Redaction {
 public:
  struct Options {
    std::vector<std::string> patterns;  // RE2; removes the groups of a match, or all of it if there are none
    bool built_in = true;               // also common secrets: passwords, tokens and keys in options and URLs
  };
  static constexpr char kMark[] = "*****";

  // InvalidArgument: an invalid pattern, or one that matches the empty text.
  static StatusOr<std::shared_ptr<const Redaction>> Make(const Options& options);
  ~Redaction();

  // The options' patterns see the command line with a space between two arguments. kMark replaces the removed part of
  // each argument; the number of arguments does not change.
  void Apply(std::string* argument0, std::vector<std::string>* arguments) const;

 private:
  using Patterns = std::vector<std::unique_ptr<re2::RE2>>;
  Redaction(Patterns own, Patterns built_in, Patterns assignments);
  const Patterns own_;
  const Patterns built_in_;
  const Patterns assignments_;  // beginnings of arguments whose rest is a secret
};

}  // namespace sluice::telemetry
