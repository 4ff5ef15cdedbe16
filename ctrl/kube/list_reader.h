// The pages of one list -> what changes in the store. For one thread.
#pragma once

#include <string>
#include <utility>

#include "ctrl/kube/options.h"
#include "ctrl/kube/resource_spec.h"
#include "ctrl/kube/sink.h"
#include "ctrl/kube/store.h"

namespace simdjson::dom {
class parser;
}  // namespace simdjson::dom

namespace sluice::kube {

class ListReader {
 public:
  // All of them must outlive this.
  ListReader(const ResourceSpec& spec, const Limits& limits, Sink& sink, simdjson::dom::parser& parser)
      : spec_(spec), limits_(limits), sink_(sink), parser_(parser) {}

  void Restart();
  // The body of one page; its capacity may grow. Converts the objects that `store` does not know as they are. On an
  // error nothing of the page counts, and the list has to be restarted.
  Status AddPage(std::string& body, const Store& store);

  // Of the pages so far. Empty: the last page has come.
  const std::string& continue_token() const { return continue_; }
  const std::string& resource_version() const { return resource_version_; }
  std::size_t pages() const { return pages_; }
  Store::List Take() { return std::move(list_); }

 private:
  const ResourceSpec& spec_;
  const Limits& limits_;
  Sink& sink_;
  simdjson::dom::parser& parser_;
  Store::List list_;
  std::string continue_;
  std::string resource_version_;
  std::size_t pages_ = 0;
};

}  // namespace sluice::kube
