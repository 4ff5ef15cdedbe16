// Secrets in arguments: what a pattern finds in a process's command line is taken out before anything is stored, sent
// or written. Patterns know what secrets usually look like, no more. Immutable; thread-safe.
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
    std::vector<std::string> patterns;  // RE2; with groups only these are taken out, else the whole match
    bool built_in = true;               // also what commonly is a secret: passwords, tokens, keys, in options and URLs
  };
  static constexpr char kMark[] = "*****";

  // InvalidArgument: a pattern that is none, or that matches the empty text.
  static StatusOr<std::shared_ptr<const Redaction>> Make(const Options& options);
  ~Redaction();

  // The options' patterns see the command line with a space between two arguments. The part of each argument that is
  // taken out becomes kMark; the number of arguments stays.
  void Apply(std::string* argument0, std::vector<std::string>* arguments) const;

 private:
  using Patterns = std::vector<std::unique_ptr<re2::RE2>>;
  Redaction(Patterns own, Patterns built_in, Patterns assignments);
  const Patterns own_;
  const Patterns built_in_;
  const Patterns assignments_;  // how arguments begin whose rest is a secret
};

}  // namespace sluice::telemetry
