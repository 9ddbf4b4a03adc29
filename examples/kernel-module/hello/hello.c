// SPDX-License-Identifier: GPL-2.0-only OR MIT
// Says hello when it is loaded.
#include <linux/init.h>
#include <linux/module.h>

static int __init hello_init(void)
{
	pr_info("hello from a module\n");
	return 0;
}
module_init(hello_init);

MODULE_DESCRIPTION("Says hello when it is loaded");
MODULE_LICENSE("Dual MIT/GPL");
