#include "ctrl/sluice/filter_options.h"

#include <string>
#include <utility>

#include "ctrl/sluice/observe_filters.h"

namespace sluice::client {

void AddFilterOptions(CLI::App* verb, const std::shared_ptr<ObserveOptions>& options) {
  for (const FilterFlag& flag : FilterFlags()) {
    verb->add_option_function<std::string>(
            flag.names,
            [options, name = LongName(flag)](const std::string& value) {
              options->conditions.push_back({name, value, std::exchange(options->dangling_not, false)});
            },
            std::string("only ") + flag.help)
        ->trigger_on_parse()
        ->group("Filters");
  }
  verb->add_flag_callback(
          "--not", [options] { options->dangling_not = true; }, "leave out the events that the next filter matches")
      ->trigger_on_parse()
      ->group("Filters");
}

}  // namespace sluice::client
