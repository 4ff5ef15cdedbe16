// Texts of which many are the same, each kept once and for as long as somebody holds it. Thread-safe; texts may outlive
// the object.
//   InternedTexts texts;
//   const auto [text, bytes] = texts.Add(serialized);
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace sluice::telemetry {

class InternedTexts {
 public:
  using Text = std::shared_ptr<const std::string>;
  struct Added {
    Text text;
    std::size_t bytes = 0;  // of memory that it needs in addition: 0 if there was such a text
  };

  InternedTexts();
  Added Add(std::string text);
  // Memory of all texts that somebody holds.
  std::size_t bytes() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // the texts hold it too
};

}  // namespace sluice::telemetry
