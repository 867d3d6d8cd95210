/* Prints how a C compiler lays the header's structures out. */
#include "apprentice_env.h"

#include <stdio.h>

#define INFO(field) printf(#field " %u\n", (unsigned)offsetof(apprentice_env_info, field))
#define TABLE(field) printf(#field " %u\n", (unsigned)offsetof(apprentice_plugin_table, field))

int main(void) {
    printf("constants %u %d %d\n", APPRENTICE_ABI_VERSION, APPRENTICE_OK, APPRENTICE_ERROR);
    printf("message %u\n", (unsigned)sizeof(apprentice_error));
    printf("info %u\n", (unsigned)sizeof(apprentice_env_info));
    printf("table %u\n", (unsigned)sizeof(apprentice_plugin_table));
    INFO(struct_size), INFO(max_episode_steps), INFO(reward_threshold), INFO(id), INFO(page);
    TABLE(abi_version), TABLE(struct_size), TABLE(num_kinds), TABLE(info), TABLE(create), TABLE(destroy);
    TABLE(observation_space), TABLE(action_space), TABLE(reset), TABLE(step), TABLE(save), TABLE(load);
    TABLE(action_mask), TABLE(render_text), TABLE(render_rgb);
    return 0;
}
