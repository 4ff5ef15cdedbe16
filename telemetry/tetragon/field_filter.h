// The field filters of a GetEvents request: which fields of an event a client gets. A value.
//   SL_ASSIGN_OR_RETURN(const FieldFilters filters, FieldFilters::Make(request.field_filters()));
//   filters.Trim(&event);
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/tetragon_service.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

class FieldFilters {
 public:
  using Messages = google::protobuf::RepeatedPtrField<tetragon::FieldFilter>;

  // InvalidArgument: an action that does not exist, or too many fields. A path that no event has selects nothing.
  static StatusOr<FieldFilters> Make(const Messages& filters);

  // Removes fields of the event's own message. What is around it (node, time) stays.
  void Trim(tetragon::GetEventsResponse* event) const;

 private:
  struct Paths {  // by the first name; a leaf has the field whole
    std::map<std::string, Paths> fields;
    bool whole = false;
  };
  struct One {
    bool includes = true;
    std::set<int> types;
    bool inverted = false;
    Paths paths;
  };
  static void Keep(const Paths& paths, google::protobuf::Message* message);
  static void Remove(const Paths& paths, google::protobuf::Message* message);

  std::vector<One> filters_;
};

}  // namespace sluice::telemetry
