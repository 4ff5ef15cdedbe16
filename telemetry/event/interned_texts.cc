#include "telemetry/event/interned_texts.h"

#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sluice::telemetry {
namespace {

// Of a text beside its characters: the string, its control block and its place in the table, about.
constexpr std::size_t kOverhead = sizeof(std::string) + 120;

}  // namespace

struct InternedTexts::State {
  std::mutex mutex;
  std::unordered_map<std::string_view, std::weak_ptr<const std::string>> texts;  // keys are views of the texts
  std::size_t bytes = 0;

  static std::size_t BytesOf(const std::string& text) { return text.capacity() + kOverhead; }

  // The last holder of `text` has let go. An equal text may have been added since then, and has the place now.
  void Forget(const std::string* text) {
    const std::lock_guard lock(mutex);
    bytes -= BytesOf(*text);
    const auto place = texts.find(*text);
    if (place != texts.end() && place->first.data() == text->data()) texts.erase(place);
  }
};

InternedTexts::InternedTexts() : state_(std::make_shared<State>()) {}

InternedTexts::Added InternedTexts::Add(std::string text) {
  const std::lock_guard lock(state_->mutex);
  if (const auto place = state_->texts.find(text); place != state_->texts.end()) {
    if (Text held = place->second.lock()) return {std::move(held), 0};
    state_->texts.erase(place);  // Forget waits for the lock
  }
  text.shrink_to_fit();
  const auto* const owned = new std::string(std::move(text));
  Text added(owned, [state = state_](const std::string* gone) {
    state->Forget(gone);
    delete gone;
  });
  state_->texts.emplace(*owned, added);
  const std::size_t bytes = State::BytesOf(*owned);
  state_->bytes += bytes;
  return {std::move(added), bytes};
}

std::size_t InternedTexts::bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->bytes;
}

}  // namespace sluice::telemetry
