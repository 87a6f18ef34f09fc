# output limit: never stops talking
while True:
    print("the answer is almost ready" * 100)
